package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// Manifest describes an upload: its files and everything else its sender sent, so that processing it again has the
// same result.
type Manifest struct {
	ID         events.UploadID   `json:"id"`
	Log        string            `json:"log"` // which log it is for
	ReceivedAt time.Time         `json:"received_at"`
	Query      map[string]string `json:"query,omitempty"`   // parameters of the request
	Warning    string            `json:"trouble,omitempty"` // a warning for its sender although all files are whole
	Files      []File            `json:"files"`
	Owner      *Owner            `json:"owner,omitempty"` // filled in by Draft.Commit; nil: of a server where nobody says who they are
}

// Owner is the principal who sent an upload, as it was then: what was accepted stays accepted.
type Owner struct {
	ID    string `json:"id"`
	Scope string `json:"scope"`
}

// id returns the owner's id; "" for nobody.
func (o *Owner) id() string {
	if o == nil {
		return ""
	}
	return o.ID
}

// File is one file of an upload.
type File struct {
	Name string `json:"name,omitempty"` // as it was sent
	Size int64  `json:"size"`           // filled in by Draft.Add
}

// Draft is an upload on its way to the disk. It ends in Commit or in Discard.
type Draft struct {
	spool *Spool
	owner *Owner
	dir   string
	files []File
	size  int64
	ended bool
}

// BeginDraft starts an upload of an owner, nil for nobody, if there is room for one more and for the bytes that it is expected to bring; 0 means
// unknown.
func (s *Spool) BeginDraft(id events.UploadID, owner *Owner, expected int64) (*Draft, error) {
	if id == "" || strings.ContainsFunc(string(id), isForbidden) {
		return nil, fmt.Errorf("upload id %q: it makes no file name", id)
	}
	if err := s.checkRoom(owner.id(), 1, expected); err != nil {
		return nil, err
	}
	if err := s.reserveRoom(owner.id(), 1, 0); err != nil {
		return nil, err
	}
	d := &Draft{spool: s, owner: owner, dir: filepath.Join(s.cfg.Dir, prefix+string(id)+unfinished)}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		s.releaseRoom(owner.id(), 1, 0)
		return nil, writeError(err)
	}
	return d, nil
}

func isForbidden(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// AddFile writes one file of the upload and returns its size. An error of src is returned as it is, an error of the
// disk as a WriteError.
func (d *Draft) AddFile(f File, src io.Reader) (size int64, err error) {
	file, err := os.OpenFile(filepath.Join(d.dir, strconv.Itoa(len(d.files))), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, writeError(err)
	}
	w := &boundedWriter{spool: d.spool, owner: d.owner.id(), file: file}
	_, err = io.CopyBuffer(w, src, make([]byte, 128<<10))
	if err == nil {
		err = writeError(file.Sync())
	}
	if closed := file.Close(); err == nil {
		err = writeError(closed)
	}
	d.size += w.size
	if err != nil {
		return w.size, err
	}
	f.Size = w.size
	d.files = append(d.files, f)
	return w.size, nil
}

// Files returns the files added so far.
func (d *Draft) Files() []File { return d.files }

// Commit writes the upload's manifest and renames it to its own name. When it returns, the upload outlives a crash,
// of the machine too. On an error nothing of it is left.
func (d *Draft) Commit(m Manifest) (*Upload, error) {
	m.Files, m.Owner = d.files, d.owner
	path := strings.TrimSuffix(d.dir, unfinished)
	text, err := json.Marshal(m)
	if err == nil {
		err = writeSynced(filepath.Join(d.dir, manifestName), text)
	}
	if err == nil {
		err = syncDir(d.dir)
	}
	if err == nil {
		err = os.Rename(d.dir, path)
	}
	if err == nil {
		d.dir = path // so that Discard finds it
		err = syncDir(d.spool.cfg.Dir)
	}
	if err != nil {
		return nil, errors.Join(writeError(err), d.Discard())
	}
	d.ended = true
	return &Upload{Manifest: m, spool: d.spool, dir: path}, nil
}

// Discard removes the upload. After Commit, and when called again, it does nothing.
func (d *Draft) Discard() error {
	if d.ended {
		return nil
	}
	d.ended = true
	d.spool.releaseRoom(d.owner.id(), 1, d.size)
	return os.RemoveAll(d.dir)
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
