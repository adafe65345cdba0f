// Judges a log with Go's own packages: the tiles in its folder, its proofs, its signatures.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var folder = os.Args[1]

func main() {
	checks := 0
	tree, origin := openCheckpoint()
	reader := tlog.TileHashReader(tree, tiles{})

	// Every leaf is the entry of its bundle.
	for i, entry := range entries(tree.N) {
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(i))})
		must(err)
		demand(hashes[0] == tlog.RecordHash(entry), "entry %d has another hash", i)
		checks++
	}
	for _, line := range lines("right") {
		p := parse(line)
		demand(p.check() == nil, "a right proof was refused: %s: %v", line, p.check())
		root, err := tlog.TreeHash(p.size, reader)
		must(err)
		demand(root == p.root, "another root of %d", p.size)
		demand(sameProof(p, reader), "another proof: %s", line)
		checks++
	}
	for _, line := range lines("wrong") {
		demand(parse(line).check() != nil, "a wrong proof was accepted: %s", line)
		checks++
	}

	// In the other direction: a note of ours, for the other side to verify.
	skey, vkey, err := note.GenerateKey(rand.Reader, "judge.example/go")
	must(err)
	signer, err := note.NewSigner(skey)
	must(err)
	signed, err := note.Sign(&note.Note{Text: "judge\n\nof " + origin + "\n"}, signer)
	must(err)
	must(os.WriteFile(filepath.Join(folder, "go-note"), signed, 0o600))
	must(os.WriteFile(filepath.Join(folder, "go-vkey"), []byte(vkey), 0o600))
	fmt.Printf("agreed: %d checks\n", checks)
}

// openCheckpoint verifies each signature alone, and that each refuses an altered text.
func openCheckpoint() (tlog.Tree, string) {
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	must(err)
	var text string
	for _, vkey := range lines("vkeys") {
		verifier := newVerifier(vkey)
		open, err := note.Open(signed, note.VerifierList(verifier))
		must(err)
		demand(len(open.Sigs) == 1, "%s has not signed", vkey)
		text = open.Text
		altered := bytes.Replace(signed, []byte("\n600\n"), []byte("\n601\n"), 1)
		_, err = note.Open(altered, note.VerifierList(verifier))
		demand(err != nil, "%s accepts an altered text", vkey)
	}
	parts := strings.Split(text, "\n")
	size, err := strconv.ParseInt(parts[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(parts[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}, parts[0]
}

// cosigner verifies cosignatures as c2sp.org/tlog-cosignature says.
type cosigner struct {
	name string
	kind byte
	key  []byte
}

func newVerifier(vkey string) note.Verifier {
	name, rest, _ := strings.Cut(vkey, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(key64)
	must(err)
	if key[0] == 1 {
		verifier, err := note.NewVerifier(vkey)
		must(err)
		return verifier
	}
	return cosigner{name, key[0], key[1:]}
}

func (c cosigner) Name() string { return c.name }

func (c cosigner) KeyHash() uint32 {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%c", c.name, c.kind)
	h.Write(c.key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) < 8 {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	if c.kind == 4 {
		return ed25519.Verify(c.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", time, msg), sig[8:])
	}
	parts := strings.Split(string(msg), "\n")
	size, err := strconv.ParseUint(parts[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(parts[2])
	must(err)
	signed := []byte("subtree/v1\n\x00")
	signed = append(append(signed, byte(len(c.name))), c.name...)
	signed = binary.BigEndian.AppendUint64(signed, time)
	signed = append(append(signed, byte(len(parts[0]))), parts[0]...)
	signed = binary.BigEndian.AppendUint64(signed, 0)
	signed = binary.BigEndian.AppendUint64(signed, size)
	signed = append(signed, root...)
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), c.key)
	must(err)
	return mldsa.Verify(public, signed, sig[8:], &mldsa.Options{}) == nil
}

// tiles reads the files. Go's paths name the height; those of c2sp.org/tlog-tiles do not.
type tiles struct{}

func (tiles) Height() int                       { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func entries(size int64) [][]byte {
	var all [][]byte
	for first := int64(0); first < size; first += 256 {
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, size-first))}
		path := strings.TrimPrefix(tile.Path(), "tile/8/data/")
		rest, err := os.ReadFile(filepath.Join(folder, "tile/entries", path))
		must(err)
		for len(rest) > 0 {
			length := int(binary.BigEndian.Uint16(rest))
			all, rest = append(all, rest[2:2+length]), rest[2+length:]
		}
	}
	demand(int64(len(all)) == size, "%d entries", len(all))
	return all
}

type proof struct {
	what        string
	first, size int64
	start, root tlog.Hash
	hashes      []tlog.Hash
}

func parse(line string) proof {
	f := strings.Fields(line)
	first, err := strconv.ParseInt(f[1], 10, 64)
	must(err)
	size, err := strconv.ParseInt(f[2], 10, 64)
	must(err)
	p := proof{what: f[0], first: first, size: size, start: hash(f[3]), root: hash(f[4])}
	if f[5] != "-" {
		for _, text := range strings.Split(f[5], ",") {
			p.hashes = append(p.hashes, hash(text))
		}
	}
	return p
}

func (p proof) check() error {
	if p.what == "inclusion" {
		return tlog.CheckRecord(p.hashes, p.size, p.root, p.first, p.start)
	}
	return tlog.CheckTree(p.hashes, p.size, p.root, p.first, p.start)
}

func sameProof(p proof, reader tlog.HashReader) bool {
	var own []tlog.Hash
	var err error
	if p.what == "inclusion" {
		own, err = tlog.ProveRecord(p.size, p.first, reader)
	} else {
		own, err = tlog.ProveTree(p.size, p.first, reader)
	}
	must(err)
	if len(own) != len(p.hashes) {
		return false
	}
	for i := range own {
		if own[i] != p.hashes[i] {
			return false
		}
	}
	return true
}

func hash(text string) (h tlog.Hash) {
	data, err := hex.DecodeString(text)
	must(err)
	copy(h[:], data)
	return h
}

func lines(name string) []string {
	data, err := os.ReadFile(filepath.Join(folder, name))
	must(err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func demand(holds bool, format string, values ...any) {
	if !holds {
		must(fmt.Errorf(format, values...))
	}
}
