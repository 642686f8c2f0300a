// Command tamper reads a Sigstore bundle and writes damaged copies of it, each with the name of
// what was changed: NAME.json. No client may accept one of them. What the bundle does not have,
// such as the log's promise in those of Rekor v2, cannot be damaged and gives no copy.
//
//	tamper BUNDLE DIRECTORY
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: tamper BUNDLE DIRECTORY")
	}
	bundle, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal("tamper: ", err)
	}
	for name, damage := range damages {
		err := write(bundle, filepath.Join(os.Args[2], name+".json"), damage)
		if err != nil && !errors.Is(err, errAbsent) {
			log.Fatalf("tamper: %s: %v", name, err)
		}
	}
}

type object = map[string]any

// errAbsent says that a bundle of this kind has no such part.
var errAbsent = errors.New("the bundle does not have that")

var damages = map[string]func(object) error{
	// The artefact's signature.
	"another-signature": func(bundle object) error {
		if message, ok := bundle["messageSignature"].(object); ok {
			return flipLast(message, "signature")
		}
		signatures, err := at[[]any](bundle, "dsseEnvelope", "signatures")
		if err != nil {
			return err
		}
		return flipLast(signatures[0].(object), "sig")
	},
	// The log's signature under the checkpoint.
	"another-checkpoint-signature": func(bundle object) error {
		return editCheckpoint(bundle, func(note string) (string, error) {
			start := strings.LastIndex(note, " ") + 1
			line := strings.TrimSpace(note[start:])
			signature, err := flipLastBit(line)
			return note[:start] + signature + "\n", err
		})
	},
	// The size that the log signed.
	"another-checkpoint-size": func(bundle object) error {
		return editCheckpoint(bundle, func(note string) (string, error) {
			lines := strings.SplitN(note, "\n", 3)
			size, err := strconv.ParseUint(lines[1], 10, 64)
			return lines[0] + "\n" + strconv.FormatUint(size+1, 10) + "\n" + lines[2], err
		})
	},
	// One hash more or another hash in the inclusion proof.
	"another-proof": func(bundle object) error {
		proof, err := inclusionProof(bundle)
		if err != nil {
			return err
		}
		hashes, _ := proof["hashes"].([]any)
		if len(hashes) == 0 {
			proof["hashes"] = []any{base64.StdEncoding.EncodeToString(make([]byte, 32))}
			return nil
		}
		flipped, err := flipLastBit(hashes[0].(string))
		hashes[0] = flipped
		return err
	},
	// The place of the entry.
	"another-index": func(bundle object) error {
		entry, err := logEntry(bundle)
		if err != nil {
			return err
		}
		proof, err := inclusionProof(bundle)
		if err != nil {
			return err
		}
		// A zero may be left out.
		text, ok := proof["logIndex"].(string)
		if !ok {
			text = "0"
		}
		index, err := strconv.ParseUint(text, 10, 64)
		other := strconv.FormatUint(index^1, 10)
		entry["logIndex"], proof["logIndex"] = other, other
		return err
	},
	// The signature by which a Rekor v1 log promised to keep the entry, and gave it its time.
	"another-promise": func(bundle object) error {
		promise, err := inclusionPromise(bundle)
		if err != nil {
			return err
		}
		return flipLast(promise, "signedEntryTimestamp")
	},
	// The time in that promise, one second later.
	"another-time": func(bundle object) error {
		if _, err := inclusionPromise(bundle); err != nil {
			return err
		}
		entry, err := logEntry(bundle)
		if err != nil {
			return err
		}
		time, err := strconv.ParseInt(entry["integratedTime"].(string), 10, 64)
		entry["integratedTime"] = strconv.FormatInt(time+1, 10)
		return err
	},
	// No proof at all.
	"no-proof": func(bundle object) error {
		entry, err := logEntry(bundle)
		delete(entry, "inclusionProof")
		return err
	},
	// No entry at all.
	"no-entry": func(bundle object) error {
		material, err := at[object](bundle, "verificationMaterial")
		material["tlogEntries"] = []any{}
		return err
	},
}

func write(bundle []byte, path string, damage func(object) error) error {
	var copied object
	if err := json.Unmarshal(bundle, &copied); err != nil {
		return err
	}
	if err := damage(copied); err != nil {
		return err
	}
	damaged, err := json.Marshal(copied)
	if err != nil {
		return err
	}
	var before bytes.Buffer
	var same object
	json.Unmarshal(bundle, &same)
	if err := json.NewEncoder(&before).Encode(same); err != nil {
		return err
	}
	if bytes.Equal(bytes.TrimSpace(before.Bytes()), damaged) {
		return errors.New("nothing was changed")
	}
	return os.WriteFile(path, damaged, 0o600)
}

func logEntry(bundle object) (object, error) {
	entries, err := at[[]any](bundle, "verificationMaterial", "tlogEntries")
	if err != nil || len(entries) == 0 {
		return object{}, fmt.Errorf("no log entry: %w", err)
	}
	return entries[0].(object), nil
}

func inclusionProof(bundle object) (object, error) {
	entry, err := logEntry(bundle)
	if err != nil {
		return object{}, err
	}
	return at[object](entry, "inclusionProof")
}

func inclusionPromise(bundle object) (object, error) {
	entry, err := logEntry(bundle)
	if err != nil {
		return nil, err
	}
	promise, ok := entry["inclusionPromise"].(object)
	if !ok {
		return nil, errAbsent
	}
	return promise, nil
}

func editCheckpoint(bundle object, edit func(string) (string, error)) error {
	proof, err := inclusionProof(bundle)
	if err != nil {
		return err
	}
	checkpoint, err := at[object](proof, "checkpoint")
	if err != nil {
		return err
	}
	checkpoint["envelope"], err = edit(checkpoint["envelope"].(string))
	return err
}

// at follows names into an object.
func at[T any](from object, names ...string) (T, error) {
	var value any = from
	for _, name := range names {
		inner, ok := value.(object)
		if !ok {
			break
		}
		value = inner[name]
	}
	found, ok := value.(T)
	if !ok {
		return found, fmt.Errorf("the bundle has no %s", strings.Join(names, "."))
	}
	return found, nil
}

func flipLast(in object, name string) error {
	flipped, err := flipLastBit(in[name].(string))
	in[name] = flipped
	return err
}

func flipLastBit(encoded string) (string, error) {
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(value) == 0 {
		return "", fmt.Errorf("not base64: %w", err)
	}
	value[len(value)-1] ^= 1
	return base64.StdEncoding.EncodeToString(value), nil
}
