// Package archivetest supports tests of packages that use an archive.
//
// In: a test. Out: an S3-compatible server for it, another implementation of Parquet. No daemon links it.
//
// Both are third-party programs. A package fetches them in its TestMain, before the time of its tests begins and within a
// quarter of the -timeout; they are kept in the user's cache directory. Without network or time a test that needs one of
// them is skipped with a message; where the environment variable CI is set it fails instead.
package archivetest
