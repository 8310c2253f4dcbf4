package spool

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// Config says where a spool is and how much it may hold. The zero value of each field means its default.
type Config struct {
	Dir      string // flag upload-dir, env UPLOAD_DIR; default telemetry-uploads in the system's temporary directory
	MaxBytes int64  // of all files together; default 10 GiB
	Uploads  int    // that wait or are being processed; default 100
}

// Flags registers the flags upload-dir, ingest.spool-bytes and ingest.spool-uploads.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.WithDefaults()
	fs.StringVar(&c.Dir, "upload-dir", c.Dir,
		"directory for uploads with async=true until they are processed, and for those with strict=true; of this process alone, and one "+
			"that outlives it; default telemetry-uploads in the system's temporary directory")
	fs.Int64Var(&c.MaxBytes, "ingest.spool-bytes", d.MaxBytes, "bytes that the files in upload-dir may take")
	fs.IntVar(&c.Uploads, "ingest.spool-uploads", d.Uploads, "uploads with async=true that may wait or be under way")
}

// WithDefaults returns the configuration with defaults in place of zeros.
func (c Config) WithDefaults() Config {
	c.Dir = cmp.Or(c.Dir, filepath.Join(os.TempDir(), "telemetry-uploads"))
	c.MaxBytes = cmp.Or(c.MaxBytes, 10<<30)
	c.Uploads = cmp.Or(c.Uploads, 100)
	return c
}

// CheckFlags refuses negative bounds, by the name of the flag.
func (c Config) CheckFlags() error {
	switch {
	case c.MaxBytes < 0:
		return fmt.Errorf("flag ingest.spool-bytes is %d; it must be positive", c.MaxBytes)
	case c.Uploads < 0:
		return fmt.Errorf("flag ingest.spool-uploads is %d; it must be positive", c.Uploads)
	}
	return nil
}
