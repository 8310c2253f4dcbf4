package archive

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// The sizes of what an object is made of, in rows. Each column has a page for each pageRows: large enough that headers
// do not count and that times which repeat from metric to metric are compressed together, small enough that one GPU's
// day takes few milliseconds.
const (
	pageRows     = 64 << 10
	rowGroupRows = 1 << 20
)

// writerOptions are those of all objects. The name of the writer is fixed, so that objects depend on their rows alone.
func writerOptions(kind Kind) []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.DataPageStatistics(false), // the column index has them
		parquet.ColumnIndexSizeLimit(func([]string) int { return 64 }),
		parquet.CreatedBy("telemetry-pipeline", "1", "archive"),
		parquet.KeyValueMetadata("telemetry-pipeline.kind", string(kind)),
	}
}
