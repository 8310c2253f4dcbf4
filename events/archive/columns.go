package archive

import "github.com/parquet-go/parquet-go"

// The sizes of pages and row groups, in rows. Each column has a page for each pageRows: large enough to make headers
// negligible and to compress times that repeat from metric to metric together, small enough to read one GPU's day in a
// few milliseconds.
//
// The column value has smaller pages: a query for one metric of one GPU reads few others, and numbers of different metrics have
// little in common that would compress.
const (
	pageRows      = 64 << 10
	valuePageRows = 8 << 10
	rowGroupRows  = 1 << 20
)

// maxIndexed is the length at which the index of pages cuts texts off.
const maxIndexed = 64

// writerOptions returns the options common to all objects. The name of the writer is fixed, so that objects depend on their
// rows alone.
func writerOptions(kind Kind, codec *pageCodec) []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(codec),
		parquet.DataPageStatistics(false), // the column index has them
		parquet.ColumnIndexSizeLimit(func([]string) int { return maxIndexed }),
		parquet.CreatedBy("telemetry-pipeline", "1", "archive"),
		parquet.KeyValueMetadata("telemetry-pipeline.kind", string(kind)),
	}
}
