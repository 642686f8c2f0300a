package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	bundleEntries = 256
	// A full bundle of the longest entries; nothing that a log serves is longer.
	bodyBytesMax = bundleEntries * (2 + 65_535)
	readers      = 8
)

// server reads from a tiled log over HTTP.
type server struct {
	base   string
	client http.Client
}

func newServer(url string) *server {
	return &server{strings.TrimSuffix(url, "/"), http.Client{Timeout: 30 * time.Second}}
}

func (s *server) get(path string) ([]byte, error) {
	status, body, err := s.request(path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: status %d", path, status)
	}
	return body, err
}

func (s *server) request(path string) (int, []byte, error) {
	response, err := s.client.Get(s.base + "/" + path)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyBytesMax))
	return response.StatusCode, body, err
}

// getAll gets many paths, a few at a time, and returns their bodies in the order of the paths.
func (s *server) getAll(paths []string) ([][]byte, error) {
	bodies := make([][]byte, len(paths))
	errs := make([]error, len(paths))
	var group sync.WaitGroup
	for r := range readers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := r; i < len(paths); i += readers {
				bodies[i], errs[i] = s.get(paths[i])
			}
		}()
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return bodies, nil
}

// tiles gets every hash tile of a tree, the partial ones included.
func (s *server) tiles(size int64) (*tileReader, error) {
	wanted := tlog.NewTiles(tileHeight, 0, size)
	paths := make([]string, len(wanted))
	for i, tile := range wanted {
		paths[i] = tilePath(tile)
	}
	bodies, err := s.getAll(paths)
	if err != nil {
		return nil, err
	}
	data := make(map[tlog.Tile][]byte, len(wanted))
	for i, tile := range wanted {
		if len(bodies[i]) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", paths[i], len(bodies[i]))
		}
		data[tile] = bodies[i]
	}
	return &tileReader{data}, nil
}

// entries gets every entry of a tree from its bundles.
func (s *server) entries(size int64) ([][]byte, error) {
	var paths []string
	for first := int64(0); first < size; first += bundleEntries {
		width := min(bundleEntries, size-first)
		paths = append(paths, bundlePath(first/bundleEntries, int(width)))
	}
	bundles, err := s.getAll(paths)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for i, bundle := range bundles {
		want := int(min(bundleEntries, size-int64(i)*bundleEntries))
		inside, err := split(bundle)
		if err != nil || len(inside) != want {
			return nil, fmt.Errorf("%s: %d entries, not %d (%v)", paths[i], len(inside), want, err)
		}
		entries = append(entries, inside...)
	}
	return entries, nil
}

// oddRequests asks for narrower tiles and bundles than the log has by now, which it still has to
// serve, and for some that no log may have.
func (s *server) oddRequests(size int64, tiles *tileReader) error {
	first := tlog.Tile{H: tileHeight, W: int(min(size, bundleEntries))}
	bundle, err := s.get(bundlePath(0, first.W))
	if err != nil {
		return err
	}
	for width := 1; width < first.W; width += 1 + width/2 {
		narrow := first
		narrow.W = width
		part, err := s.get(tilePath(narrow))
		if err != nil {
			return err
		}
		if !bytes.Equal(part, tiles.data[first][:width*tlog.HashSize]) {
			return fmt.Errorf("%s is not the beginning of the tile", tilePath(narrow))
		}
		part, err = s.get(bundlePath(0, width))
		if err != nil {
			return err
		}
		inside, err := split(part)
		if err != nil || len(inside) != width || !bytes.HasPrefix(bundle, part) {
			return fmt.Errorf("%s is not the beginning of the bundle", bundlePath(0, width))
		}
	}
	beyond := size/bundleEntries + 1
	for _, path := range []string{
		tilePath(tlog.Tile{H: tileHeight, N: beyond, W: 1}),
		tilePath(tlog.Tile{H: tileHeight, N: beyond, W: 1 << tileHeight}),
		bundlePath(beyond, 1),
		"tile/0/000.p/0",
		"tile/0/000.p/256",
		"tile/63/000",
	} {
		if status, _, err := s.request(path); err != nil || status/100 != 4 {
			return fmt.Errorf("%s: status %d, %v", path, status, err)
		}
	}
	return nil
}

// split takes a bundle apart: each entry stands behind its length in two bytes.
func split(bundle []byte) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return entries, io.ErrUnexpectedEOF
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	return entries, nil
}

// tilePath is x/mod's path without the height, which tlog-tiles fixes.
func tilePath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
}

func bundlePath(index int64, width int) string {
	data := tlog.Tile{H: tileHeight, L: -1, N: index, W: width}
	return strings.Replace(data.Path(), "tile/8/data/", "tile/entries/", 1)
}

// tileReader gives the tiles that were read to x/mod.
type tileReader struct{ data map[tlog.Tile][]byte }

func (t *tileReader) Height() int { return tileHeight }

func (t *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		data, ok := t.data[tile]
		if !ok {
			return nil, fmt.Errorf("%s is not part of the tree", tilePath(tile))
		}
		out = append(out, data)
	}
	return out, nil
}

func (t *tileReader) withFlippedBit(tile tlog.Tile) *tileReader {
	data := maps.Clone(t.data)
	data[tile] = bytes.Clone(data[tile])
	data[tile][0] ^= 1
	return &tileReader{data}
}
