package archive

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// The sizes of pages and row groups, in rows. Each column has a page for each pageRows: large enough to make headers
// negligible and to compress times that repeat from metric to metric together, small enough to read one GPU's day in a
// few milliseconds.
const (
	pageRows     = 64 << 10
	rowGroupRows = 1 << 20
)

// writerOptions returns the options common to all objects. The name of the writer is fixed, so that objects depend on their
// rows alone.
func writerOptions(kind Kind) []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.DataPageStatistics(false), // the column index has them
		parquet.ColumnIndexSizeLimit(func([]string) int { return 64 }),
		parquet.CreatedBy("telemetry-pipeline", "1", "archive"),
		parquet.KeyValueMetadata("telemetry-pipeline.kind", string(kind)),
	}
}
