// Command filler fills a log through its raw add: it posts distinct entries over many connections
// and notes, for each index that it is given, the hash of the leaf that must now be there.
//
//	filler --url URL/add --first 0 --count 40000 --leaves FILE
package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connections = 64
	// Now and then an entry is as long as one can be.
	entryBytesMax = 65_535
	longOneIn     = 10_000
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", "", "where entries are posted")
	first := flag.Int64("first", 0, "number of the first entry, and size of the log before")
	count := flag.Int64("count", 0, "how many entries to post")
	leaves := flag.String("leaves", "", "file to note leaf hashes in, 32 bytes at 32 times the index")
	flag.Parse()
	if *url == "" || *count <= 0 || *leaves == "" {
		log.Fatal("filler: --url, --count and --leaves are required")
	}
	if err := fill(*url, *first, *count, *leaves); err != nil {
		log.Fatal("filler: ", err)
	}
}

func fill(url string, first, count int64, leaves string) error {
	file, err := os.OpenFile(leaves, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	client := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections},
	}
	seen := make([]atomic.Bool, count)
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, connections)
	start := time.Now()
	for range connections {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := next.Add(1) - 1; n < count; n = next.Add(1) - 1 {
				entry := entryOf(first + n)
				index, err := add(client, url, entry)
				outside := index < first || index >= first+count
				if err == nil && (outside || seen[index-first].Swap(true)) {
					err = fmt.Errorf("entry %d was given the index %d", first+n, index)
				}
				if err == nil {
					leaf := sha256.Sum256(append([]byte{0}, entry...))
					_, err = file.WriteAt(leaf[:], index*sha256.Size)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	group.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	took := time.Since(start)
	fmt.Printf("%d entries in %.1f s, %.0f a second\n",
		count, took.Seconds(), float64(count)/took.Seconds())
	return file.Sync()
}

// entryOf makes the n-th entry: its number, and filling so that lengths vary.
func entryOf(n int64) []byte {
	entry := []byte(strconv.FormatInt(n, 10))
	length := n * 7919 % 300
	if n%longOneIn == longOneIn-1 {
		length = entryBytesMax
	}
	if more := length - int64(len(entry)); more > 0 {
		entry = append(entry, bytes.Repeat([]byte{' '}, int(more))...)
	}
	return entry
}

func add(client *http.Client, url string, entry []byte) (int64, error) {
	response, err := client.Post(url, "application/octet-stream", bytes.NewReader(entry))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	return strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
}
