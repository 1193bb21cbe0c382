package bus

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Evidence keeps bundles in the object store, one object for each file.
type Evidence struct {
	js    jetstream.JetStream
	store jetstream.ObjectStore
}

// File is a file of a bundle as it was stored.
type File struct {
	Path string
	Size int64
	// SHA256 is its checksum in hexadecimal, as the store computed it.
	SHA256 string
}

// OpenEvidence opens the bucket that CreateStreams made.
func OpenEvidence(ctx context.Context, js jetstream.JetStream) (*Evidence, error) {
	store, err := js.ObjectStore(ctx, evidenceBucket)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	return &Evidence{js, store}, nil
}

// Put stores every file under dir as the bundle of a run.
func (e *Evidence) Put(ctx context.Context, run, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".part") {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := e.store.Put(ctx, jetstream.ObjectMeta{Name: run + "/" + filepath.ToSlash(rel)}, f); err != nil {
			return fmt.Errorf("store %s of run %s: %w", rel, run, err)
		}
		return nil
	})
}

// List returns the files of a run.
func (e *Evidence) List(ctx context.Context, run string) ([]File, error) {
	all, err := e.store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list evidence of run %s: %w", run, err)
	}
	var out []File
	for _, o := range all {
		path, ours := strings.CutPrefix(o.Name, run+"/")
		if !ours {
			continue
		}
		sum, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(o.Digest, "SHA-256="))
		if err != nil {
			return nil, fmt.Errorf("checksum of %s: %w", o.Name, err)
		}
		out = append(out, File{Path: path, Size: int64(o.Size), SHA256: hex.EncodeToString(sum)})
	}
	return out, nil
}

// Open reads a file of a run. Its last Read returns an error if the checksum is
// not that of what was stored.
func (e *Evidence) Open(ctx context.Context, run, path string) (io.ReadCloser, error) {
	o, err := e.store.Get(ctx, run+"/"+path)
	if err != nil {
		return nil, fmt.Errorf("read %s of run %s: %w", path, run, err)
	}
	return o, nil
}

// IsNoFile says that an error is about a file that is not there.
func IsNoFile(err error) bool {
	return errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrNameRequired)
}
