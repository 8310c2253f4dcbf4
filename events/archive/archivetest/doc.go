// Package archivetest supports tests of what uses an archive.
//
// In: a test. Out: an S3-compatible server for it, another implementation of Parquet, programs that are fetched once and kept
// in the user's cache directory. It is never linked into a daemon.
//
// Without network and cache a test that needs one of the programs is skipped, which says so; where the environment
// variable CI is set it fails instead.
package archivetest
