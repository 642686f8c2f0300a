// Command notekey makes a key for a log that signs notes: NAME is its origin, and the two parts of
// the key land in the files PREFIX.key and PREFIX.vkey.
//
//	notekey NAME PREFIX
package main

import (
	"crypto/rand"
	"log"
	"os"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: notekey NAME PREFIX")
	}
	private, public, err := note.GenerateKey(rand.Reader, os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2]+".key", []byte(private), 0o600)
	}
	if err == nil {
		err = os.WriteFile(os.Args[2]+".vkey", []byte(public+"\n"), 0o600)
	}
	if err != nil {
		log.Fatal("notekey: ", err)
	}
}
