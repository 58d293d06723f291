// Command verify checks an exported log with code that shares nothing with the library under test: Go's standard
// library and golang.org/x/mod/sumdb, the packages that verify Go's own checksum database.
//
//	verify [-cosigned n] [-witness vkey]... DIRECTORY VKEY
//	verify -proof FILE -leaf FILE [-cosigned n] [-witness vkey]... VKEY
//
// It exits with 0 and prints "size root" if everything holds, else with 1 and says what does not.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	width       = 256 // c2sp.org/tlog-tiles
	cosignature = 0x04
)

// cosigner verifies c2sp.org/tlog-cosignature, which x/mod does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	if at == 0 || at > 1<<63-1 {
		return false
	}
	signed := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", at)), msg...)
	return ed25519.Verify(c.key, signed, sig[8:])
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("witness key: three parts")
	}
	id, err := hex.DecodeString(parts[1])
	if err != nil || len(id) != 4 {
		return nil, errors.New("witness key: id")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 33 || raw[0] != cosignature {
		return nil, errors.New("witness key: not a cosigner's")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	if !bytes.Equal(sum[:4], id) {
		return nil, errors.New("witness key: id is another key's")
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(id), ed25519.PublicKey(raw[1:])}, nil
}

type keys []string

func (k *keys) String() string     { return strings.Join(*k, " ") }
func (k *keys) Set(v string) error { *k = append(*k, v); return nil }

// checkpoint opens a signed checkpoint and returns its tree.
func checkpoint(signed []byte, vkey string, witnesses keys, quorum int) (tlog.Tree, error) {
	var none tlog.Tree
	log, err := note.NewVerifier(vkey)
	if err != nil {
		return none, err
	}
	known := []note.Verifier{log}
	for _, each := range witnesses {
		witness, err := newCosigner(each)
		if err != nil {
			return none, err
		}
		known = append(known, witness)
	}
	opened, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return none, err
	}
	own, cosigned := 0, 0
	for _, sig := range opened.Sigs {
		if sig.Name == log.Name() && sig.Hash == log.KeyHash() {
			own++
		} else {
			cosigned++
		}
	}
	if own != 1 || cosigned < quorum {
		return none, fmt.Errorf("%d signatures of the log, %d of witnesses", own, cosigned)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != log.Name() {
		return none, errors.New("checkpoint: not three lines of this origin")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return none, errors.New("checkpoint: size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return none, err
	}
	if root.String() != lines[2] {
		return none, errors.New("checkpoint: root is not canonical base64")
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

func number(n int64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return path
}

func name(level string, n, w int64) string {
	path := "tile/" + level + "/" + number(n)
	if w != width {
		path += fmt.Sprintf(".p/%d", w)
	}
	return path
}

// hashes keeps the tree in x/mod's own order of storage.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(h)) {
			return nil, errors.New("a hash is missing")
		}
		found[i] = h[at]
	}
	return found, nil
}

func directory(root, vkey string, witnesses keys, quorum int) (tlog.Tree, error) {
	var none tlog.Tree
	signed, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	if err != nil {
		return none, err
	}
	tree, err := checkpoint(signed, vkey, witnesses, quorum)
	if err != nil {
		return none, err
	}
	expected := map[string]bool{"checkpoint": true, "log.vkey": true}
	stored := hashes{}
	for n := int64(0); n*width < tree.N; n++ {
		w := tree.N - n*width
		if w > width {
			w = width
		}
		path := name("entries", n, w)
		expected[path] = true
		bundle, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return none, err
		}
		for i := int64(0); i < w; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return none, fmt.Errorf("%s: ends within entry %d", path, n*width+i)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			more, err := tlog.StoredHashes(n*width+i, bundle[2:2+length], stored)
			if err != nil {
				return none, err
			}
			stored = append(stored, more...)
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			return none, fmt.Errorf("%s: bytes left over", path)
		}
	}
	made, err := tlog.TreeHash(tree.N, stored)
	if err != nil {
		return none, err
	}
	if tree.N == 0 {
		made = sha256.Sum256(nil) // x/mod leaves the empty tree's hash at zero; RFC 6962 has SHA-256("")
	}
	if made != tree.Hash {
		return none, errors.New("the entries do not make the signed root")
	}
	for level, hashed := 0, tree.N; hashed > 0; level, hashed = level+1, hashed/width {
		for n := int64(0); n*width < hashed; n++ {
			w := hashed - n*width
			if w > width {
				w = width
			}
			path := name(strconv.Itoa(level), n, w)
			expected[path] = true
			tile, err := os.ReadFile(filepath.Join(root, path))
			if err != nil {
				return none, err
			}
			if int64(len(tile)) != w*tlog.HashSize {
				return none, fmt.Errorf("%s: %d bytes", path, len(tile))
			}
			for i := int64(0); i < w; i++ {
				at := tlog.StoredHashIndex(8*level, n*width+i)
				if !bytes.Equal(tile[i*tlog.HashSize:(i+1)*tlog.HashSize], stored[at][:]) {
					return none, fmt.Errorf("%s: hash %d", path, i)
				}
			}
		}
	}
	return tree, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		short, err := filepath.Rel(root, path)
		if err == nil && (!info.Mode().IsRegular() || !expected[filepath.ToSlash(short)]) {
			err = fmt.Errorf("%s: not of this log", short)
		}
		return err
	})
}

func proof(file, leafFile, vkey string, witnesses keys, quorum int) (tlog.Tree, error) {
	var none tlog.Tree
	text, err := os.ReadFile(file)
	if err != nil {
		return none, err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return none, err
	}
	cut := bytes.Index(text, []byte("\n\n"))
	if cut < 0 {
		return none, errors.New("proof: no blank line")
	}
	lines := strings.Split(string(text[:cut]), "\n")
	if len(lines) > 1 && strings.HasPrefix(lines[1], "extra ") {
		lines = append(lines[:1], lines[2:]...)
	}
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return none, errors.New("proof: its first lines")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return none, err
	}
	path := tlog.RecordProof{}
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return none, err
		}
		path = append(path, hash)
	}
	tree, err := checkpoint(text[cut+2:], vkey, witnesses, quorum)
	if err != nil {
		return none, err
	}
	if index < 0 || index >= tree.N {
		return none, errors.New("proof: index")
	}
	return tree, tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

func main() {
	var witnesses keys
	flag.Var(&witnesses, "witness", "a witness's vkey")
	quorum := flag.Int("cosigned", 0, "so many of the witnesses must have cosigned")
	proofFile := flag.String("proof", "", "a tlog-proof to verify")
	leafFile := flag.String("leaf", "", "the entry that it proves")
	flag.Parse()
	var tree tlog.Tree
	var err error
	switch {
	case *proofFile != "" && flag.NArg() == 1:
		tree, err = proof(*proofFile, *leafFile, flag.Arg(0), witnesses, *quorum)
	case *proofFile == "" && flag.NArg() == 2:
		tree, err = directory(flag.Arg(0), flag.Arg(1), witnesses, *quorum)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(tree.N, tree.Hash)
}
