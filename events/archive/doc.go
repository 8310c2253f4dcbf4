// Package archive keeps events that left the log as Parquet objects in object storage.
//
// In: the events of one partition in revision order; entries of earlier calls. Out: objects, the Entry that describes the
// objects of one range of revisions, and the same events again (Store.Read), their readings by series (Store.Scan), or
// their rollups by minute and hour (Store.Rollup). It never decides which objects may be deleted, and does not use etcd:
// the keeper of the entries decides which objects count.
//
// # Objects
//
// A range of revisions has up to four objects, each of one kind and in a folder of that name:
//
//   - records: a row per record, sorted by host, gpu, part, metric, time. The columns are texts, a time and a
//     number, and can be used as they are: record documents each column.
//   - events: a row per event (key, revision, append time, upload); its column event joins it to the records.
//   - minutely and hourly: a row per entity, metric and minute or hour with its count, min, max, sum, first time and
//     last number, made when ranges are merged (Store.Merge). The kinds minutes and hours are older ones, without the
//     first time.
//
// # The promise
//
// Lossless: Read returns the events of Write equal field by field, damaged ones with their reason and stored value.
// Merge drops exact repeats of an earlier record (same identity, metric, source, time and value) and nothing else, so the
// set of records stays the same.
//
// Durable: when Write or Merge returns without an error, each object is in the store, and its content was read back and
// has the right hash and number of rows. After an error the store may have objects that no entry lists (Store.List).
//
// Immutable: an object's name ends in the hash of its content. The same call for the same events yields the same objects, and an existing
// object is never written again, unless its content does not match the hash in its name.
//
// Bounded: an entry holds at most MaxRecords records. Memory grows with the records of the entries in use, by about 60 bytes
// per record; the memory of a Scan grows with the size of a page.
package archive
