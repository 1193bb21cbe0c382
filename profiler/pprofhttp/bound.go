package pprofhttp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// normalise returns data as a gzip-compressed profile, if it is one and is not
// larger than maxDecoded bytes after decompression. It decompresses through a
// small buffer, so a bomb costs time up to the bound and no memory.
func normalise(data []byte, maxDecoded int64) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if int64(len(data)) > maxDecoded {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxDecoded)
		}
		for rest := data; len(rest) > 0 || len(data) == 0; {
			if err := looksLikeProfile(rest); err != nil {
				return nil, err
			}
			_, _, n := protowire.ConsumeField(rest)
			if n < 0 {
				return nil, fmt.Errorf("%w: it is cut off, or other data", ErrNotProfile)
			}
			rest = rest[n:]
		}
		return compress(data)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNotProfile, err)
	}
	head := make([]byte, 64)
	n, err := io.ReadFull(zr, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: decompress: %v", ErrNotProfile, err)
	}
	if err := looksLikeProfile(head[:n]); err != nil {
		return nil, err
	}
	if n == len(head) {
		rest, err := io.Copy(io.Discard, io.LimitReader(zr, maxDecoded-int64(n)+1))
		if err != nil {
			return nil, fmt.Errorf("%w: decompress: %v", ErrNotProfile, err)
		}
		if int64(n)+rest > maxDecoded {
			return nil, fmt.Errorf("%w: more than %d bytes when decompressed", ErrTooLarge, maxDecoded)
		}
	}
	return data, nil
}

// maxField is the largest field number of profile.proto's Profile message, with
// room for fields to come.
const maxField = 32

// looksLikeProfile checks that a message begins with a field that a profile
// can have: enough to tell it from a page of text, whose characters give other
// field numbers or wire types. The reader of the profile checks the rest.
func looksLikeProfile(head []byte) error {
	field, kind, n := protowire.ConsumeTag(head)
	if n < 0 || field > maxField || (kind != protowire.VarintType && kind != protowire.BytesType) {
		return fmt.Errorf("%w: it begins with %q", ErrNotProfile, head[:min(len(head), 16)])
	}
	return nil
}

func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(data); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// looksLikeTrace checks the head of an execution trace: "go 1.26 trace".
func looksLikeTrace(data []byte) error {
	if !bytes.HasPrefix(data, []byte("go 1.")) {
		return fmt.Errorf("%w: no execution trace, it begins with %q", ErrNotProfile, data[:min(len(data), 16)])
	}
	return nil
}
