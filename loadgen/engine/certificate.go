package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Certificate returns the certificate in dir, which it makes if there is none.
// Those who connect know it by its fingerprint, not by a name or a date, so that
// no clock has to be right.
func Certificate(dir string) (*tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "certificate-key.pem")
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeCertificate(certFile, keyFile); err == nil {
			cert, err = tls.LoadX509KeyPair(certFile, keyFile)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("certificate of the controller: %w", err)
	}
	return &cert, nil
}

func makeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "headroom controller"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// The key first: a certificate is there only with its key.
	if err := writePEM(keyFile, "PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", der)
}

func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// fingerprintPrefix names the hash.
const fingerprintPrefix = "sha256:"

// Fingerprint is the SHA-256 of a certificate, as sha256:<hex>.
func Fingerprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}

// ErrFingerprint is wrapped when a server shows another certificate than expected.
var ErrFingerprint = errors.New("the certificate is not the one whose fingerprint is known")

// Pinned is a TLS configuration that trusts one certificate alone.
func Pinned(fingerprint string) (*tls.Config, error) {
	want, err := hex.DecodeString(strings.TrimPrefix(strings.ToLower(fingerprint), fingerprintPrefix))
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("fingerprint %q is not sha256: and 64 hexadecimal digits", fingerprint)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The fingerprint below takes the place of names, dates and authorities.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], want) != 1 {
				return fmt.Errorf("%w: it is %s%x", ErrFingerprint, fingerprintPrefix, got)
			}
			return nil
		},
	}, nil
}
