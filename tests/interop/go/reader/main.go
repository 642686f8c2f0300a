// Command reader reads a whole tiled log and checks it with golang.org/x/mod/sumdb, a verifier
// written by others: it recomputes the tree from the entry bundles, compares every tile,
// authenticates every tile's hashes against the checkpoint, and proves that the trees of older
// checkpoints are prefixes of the newest.
//
//	reader --url URL --vkey FILE [--origin ORIGIN] [--leaves FILE] [--save CHECKPOINT] [--old CHECKPOINT]...
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is 8 for every tlog-tiles log: 256 hashes in a full tile.
const tileHeight = 8

func main() {
	log.SetFlags(0)
	var want wanted
	flag.StringVar(&want.url, "url", "", "where checkpoint and tile/ are served")
	flag.StringVar(&want.vkey, "vkey", "", "file with the log's verifier key")
	flag.StringVar(&want.origin, "origin", "", "the log's origin, if not the name of its key")
	flag.StringVar(&want.leaves, "leaves", "", "file of the leaf hashes expected, 32 bytes each")
	flag.StringVar(&want.save, "save", "", "file to keep the checkpoint in once all is checked")
	flag.Func("old", "file with an older checkpoint; may be repeated", func(path string) error {
		want.old = append(want.old, path)
		return nil
	})
	flag.Parse()
	if want.url == "" || want.vkey == "" {
		log.Fatal("reader: --url and --vkey are required")
	}
	report, err := want.check()
	if err != nil {
		log.Fatal("reader: ", err)
	}
	fmt.Println(report)
}

// wanted is what the command line asks for.
type wanted struct {
	url, vkey, origin, leaves, save string
	old                             []string
}

func (want *wanted) check() (string, error) {
	vkey, err := os.ReadFile(want.vkey)
	if err != nil {
		return "", err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return "", err
	}
	by := logKey{verifier, want.origin}
	if by.origin == "" {
		by.origin = verifier.Name()
	}
	server := newServer(want.url)
	text, err := server.get("checkpoint")
	if err != nil {
		return "", err
	}
	tree, err := openCheckpoint(text, by)
	if err != nil {
		return "", err
	}

	tiles, err := server.tiles(tree.N)
	if err != nil {
		return "", err
	}
	hashes, err := recompute(server, tree, want.leaves)
	if err != nil {
		return "", err
	}
	if tree.N > 0 {
		if err := compareTiles(tiles, hashes, tree); err != nil {
			return "", err
		}
		if err := proveRecords(tiles, hashes, tree); err != nil {
			return "", err
		}
		if err := server.oddRequests(tree.N, tiles); err != nil {
			return "", err
		}
	}
	for _, path := range want.old {
		if err := proveOld(path, by, tiles, hashes, tree); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	if want.save != "" {
		if err := os.WriteFile(want.save, text, 0o600); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("size %d, %d tiles, %d older checkpoints",
		tree.N, len(tiles.data), len(want.old)), nil
}

// storage holds hashes in the order that x/mod numbers them.
type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, 0, len(indexes))
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d of %d", i, len(s))
		}
		out = append(out, s[i])
	}
	return out, nil
}

// recompute builds the tree from the entries alone and compares its root with the checkpoint's.
func recompute(server *server, tree tlog.Tree, leavesFile string) (storage, error) {
	var expected []byte
	if leavesFile != "" {
		var err error
		if expected, err = os.ReadFile(leavesFile); err != nil {
			return nil, err
		}
		if int64(len(expected)) != tree.N*tlog.HashSize {
			return nil, fmt.Errorf("%d leaves are expected and %d are there",
				len(expected)/tlog.HashSize, tree.N)
		}
	}
	entries, err := server.entries(tree.N)
	if err != nil {
		return nil, err
	}
	var hashes storage
	for i, entry := range entries {
		leaf := tlog.RecordHash(entry)
		if expected != nil && leaf != tlog.Hash(expected[i*tlog.HashSize:]) {
			return nil, fmt.Errorf("entry %d is not what was submitted", i)
		}
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return nil, err
	}
	if root != tree.Hash {
		return nil, fmt.Errorf("the entries hash to %v, the checkpoint says %v", root, tree.Hash)
	}
	return hashes, nil
}

// compareTiles compares every tile with the recomputed tree, then has x/mod authenticate every hash
// in them against the checkpoint. A tile with one flipped bit has to be refused, or this check
// would mean nothing.
func compareTiles(tiles *tileReader, hashes storage, tree tlog.Tree) error {
	for tile, data := range tiles.data {
		want, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		if !bytes.Equal(data, want) {
			return fmt.Errorf("%s differs from the entries", tilePath(tile))
		}
	}
	indexes := make([]int64, len(hashes))
	for i := range indexes {
		indexes[i] = int64(i)
	}
	read, err := tlog.TileHashReader(tree, tiles).ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i := range read {
		if read[i] != hashes[i] {
			return fmt.Errorf("stored hash %d differs", i)
		}
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, tree.N) {
		flipped := tiles.withFlippedBit(tile)
		index := tlog.StoredHashIndex(tile.L*tileHeight, tile.N<<tileHeight)
		if _, err := tlog.TileHashReader(tree, flipped).ReadHashes([]int64{index}); err == nil {
			return fmt.Errorf("%s with a flipped bit was accepted", tilePath(tile))
		}
	}
	return nil
}

// proveRecords proves the first and last records and a spread of others, through the tiles alone.
func proveRecords(tiles *tileReader, hashes storage, tree tlog.Tree) error {
	const samples = 64
	reader := tlog.TileHashReader(tree, tiles)
	for k := int64(0); k < samples; k++ {
		n := (tree.N - 1) * k / (samples - 1)
		leaf := hashes[tlog.StoredHashIndex(0, n)]
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		leaf[0] ^= 1
		if tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf) == nil {
			return fmt.Errorf("record %d: another leaf was accepted", n)
		}
	}
	return nil
}

// proveOld proves that the tree of an older checkpoint is a prefix of tree.
func proveOld(
	path string, by logKey, tiles *tileReader, hashes storage, tree tlog.Tree,
) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	old, err := openCheckpoint(text, by)
	if err != nil {
		return err
	}
	if old.N > tree.N {
		return fmt.Errorf("its size %d is larger than %d", old.N, tree.N)
	}
	root, err := tlog.TreeHash(old.N, hashes)
	if err != nil {
		return err
	}
	if root != old.Hash {
		return fmt.Errorf("the first %d entries hash to %v, not to %v", old.N, root, old.Hash)
	}
	if old.N == 0 {
		return nil // Every tree continues the empty one; there is no proof to check.
	}
	proof, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, tiles))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return err
	}
	other := old.Hash
	other[0] ^= 1
	if tlog.CheckTree(proof, tree.N, tree.Hash, old.N, other) == nil {
		return errors.New("another root was accepted")
	}
	return nil
}

// openCheckpoint verifies the signature of the log under its own name, and reads size and root.
// logKey is a log's key, and the first line of what it signs.
type logKey struct {
	verifier note.Verifier
	origin   string
}

func openCheckpoint(text []byte, by logKey) (tlog.Tree, error) {
	signed, err := note.Open(text, note.VerifierList(by.verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	var tree tlog.Tree
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 4 {
		return tree, errors.New("the checkpoint has fewer than three lines")
	}
	if lines[0] != by.origin {
		return tree, fmt.Errorf("the origin is %q, not %q", lines[0], by.origin)
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil || fmt.Sprint(tree.N) != lines[1] {
		return tree, fmt.Errorf("bad size %q", lines[1])
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}
