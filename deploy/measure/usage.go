package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is the use that a process makes of its machine, as /proc shows it.
type Usage struct {
	CPU      time.Duration // user and system time since its start, in steps of 10 ms
	Resident int64         // bytes
	Mapped   int64         // of these, bytes of files, which the kernel reads again when it needs the memory
	Peak     int64         // the most bytes that were resident since its start, or since the last ResetPeak
	Files    int           // open file descriptors
	Written  int64         // bytes that it had written to disks since its start
}

// ticksPerSecond is the unit of times in /proc/PID/stat, which the kernel's ABI fixes.
const ticksPerSecond = 100

// Usage returns the present use.
func (p *Process) Usage() (Usage, error) {
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the use of %s: %w", p.Name, err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the use of %s: %w", p.Name, err)
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return Usage{}, fmt.Errorf("counting the files of %s: %w", p.Name, err)
	}
	u := Usage{Files: len(files)}
	if u.CPU, err = parseStat(stat); err != nil {
		return Usage{}, err
	}
	if u.Resident, err = parseStatus(status, "VmRSS:"); err != nil {
		return Usage{}, err
	}
	if u.Mapped, err = parseStatus(status, "RssFile:"); err != nil {
		return Usage{}, err
	}
	if u.Peak, err = parseStatus(status, "VmHWM:"); err != nil {
		return Usage{}, err
	}
	traffic, err := os.ReadFile(filepath.Join(dir, "io"))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the use of %s: %w", p.Name, err)
	}
	u.Written, err = parseIO(traffic, "write_bytes:")
	return u, err
}

// ResetPeak sets the peak of resident memory to its present value.
func (p *Process) ResetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// parseStat returns the processor time in the text of /proc/PID/stat.
func parseStat(text []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(text, ')') // the name before it may have spaces
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has an unknown form: %q", text)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(err1, err2)
}

// parseStatus returns the bytes in a line of /proc/PID/status that has kilobytes.
func parseStatus(text []byte, name string) (int64, error) {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name && fields[2] == "kB" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no %s", name)
}

// parseIO returns the number in a line of /proc/PID/io.
func parseIO(text []byte, name string) (int64, error) {
	for line := range strings.Lines(string(text)) {
		if label, number, _ := strings.Cut(strings.TrimSpace(line), " "); label == name {
			return strconv.ParseInt(number, 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/PID/io has no %s", name)
}

// DirectorySize returns the bytes and the number of the regular files below a directory. Files that come and go
// meanwhile do not matter.
func DirectorySize(dir string) (bytes int64, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		bytes += info.Size()
		files++
		return nil
	})
	return bytes, files, err
}
