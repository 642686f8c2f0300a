// Command opener opens cosigned checkpoints and proofs with libraries written by others: torchwood
// with its own reading of the policy, or, as torchwood reads Ed25519 lines only, the verifiers of
// transparency-dev/formats, which have to find a line for every key in the policy.
//
//	opener --policy FILE --checkpoint FILE [--every]
//	opener --policy FILE --proof FILE --leaf FILE
//
// It prints the size, and each cosigner with the time in its line. Before that it damages every
// line that counted, and the text, and fails if one of these is accepted as well.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"filippo.io/torchwood"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("opener: ")
	policy := flag.String("policy", "", "file with the policy: logs, witnesses, quorum")
	checkpoint := flag.String("checkpoint", "", "file with a checkpoint")
	every := flag.Bool("every", false, "want a line of every key in the policy")
	proof := flag.String("proof", "", "file with a tlog-proof")
	leaf := flag.String("leaf", "", "file with the entry that the proof is about")
	flag.Parse()
	rules, err := os.ReadFile(*policy)
	if err != nil {
		log.Fatal(err)
	}
	switch {
	case *proof != "" && *leaf != "":
		err = checkProof(rules, *proof, *leaf)
	case *checkpoint != "" && *every:
		err = checkCheckpoint(rules, *checkpoint, everyLine(rules))
	case *checkpoint != "":
		err = checkCheckpoint(rules, *checkpoint, byTorchwood(rules))
	default:
		log.Fatal("one of --checkpoint, or --proof with --leaf, is required")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// opener verifies a signed note; what it returns is verified.
type opener func(signed []byte) (*note.Note, error)

// byTorchwood opens what satisfies the policy as torchwood understands it.
func byTorchwood(rules []byte) opener {
	policy, err := torchwood.ParsePolicy(rules)
	return func(signed []byte) (*note.Note, error) {
		if err != nil {
			return nil, err
		}
		_, opened, err := torchwood.VerifyCheckpoint(signed, policy)
		return opened, err
	}
}

// everyLine opens what every key of the policy signed, whatever its quorum.
func everyLine(rules []byte) opener {
	verifiers, err := verifiersOf(rules)
	return func(signed []byte) (*note.Note, error) {
		if err != nil {
			return nil, err
		}
		opened, err := note.Open(signed, note.VerifierList(verifiers...))
		if err != nil {
			return nil, err
		}
		if _, err := torchwood.ParseCheckpoint(opened.Text); err != nil {
			return nil, err
		}
		if len(opened.Sigs) != len(verifiers) {
			return nil, fmt.Errorf("%d of %d keys signed", len(opened.Sigs), len(verifiers))
		}
		return opened, nil
	}
}

func verifiersOf(rules []byte) ([]note.Verifier, error) {
	var verifiers []note.Verifier
	for line := range strings.Lines(string(rules)) {
		var verifier note.Verifier
		var err error
		switch fields := append(strings.Fields(line), "", "", ""); fields[0] {
		case "log":
			verifier, err = note.NewVerifier(fields[1])
		case "witness":
			verifier, err = formats.NewVerifierForCosignatureV1(fields[2])
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
		verifiers = append(verifiers, verifier)
	}
	return verifiers, nil
}

// ofLog tells whether a line is of a key that the policy names as a log's: such a line holds no
// time, and its name need not be the origin of the tree.
func ofLog(rules []byte, line note.Signature) bool {
	for rule := range strings.Lines(string(rules)) {
		fields := strings.Fields(rule)
		if len(fields) < 2 || fields[0] != "log" {
			continue
		}
		key, err := note.NewVerifier(fields[1])
		if err == nil && key.Name() == line.Name && key.KeyHash() == line.Hash {
			return true
		}
	}
	return false
}

func checkCheckpoint(rules []byte, path string, open opener) error {
	signed, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	opened, err := open(signed)
	if err != nil {
		return err
	}
	tree, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	if err := refusesDamage(signed, opened, open); err != nil {
		return err
	}
	fmt.Println("size", tree.N)
	for _, line := range opened.Sigs {
		if ofLog(rules, line) {
			continue
		}
		time, err := torchwood.CosignatureTimestamp(line)
		if err != nil {
			return err
		}
		fmt.Println(line.Name, time)
	}
	return nil
}

// refusesDamage has the note refused with another bit in any line that counted, in its signature
// or, where it has one, in its time, and with another text under the same lines.
func refusesDamage(signed []byte, opened *note.Note, open opener) error {
	const keyIDBytes, timeBytes, ed25519Bytes = 4, 8, 64
	for _, line := range opened.Sigs {
		raw, err := base64.StdEncoding.DecodeString(line.Base64)
		if err != nil {
			return err
		}
		places := []int{len(raw) - 1}
		if len(raw) > keyIDBytes+ed25519Bytes {
			places = append(places, keyIDBytes+timeBytes-1)
		}
		for _, place := range places {
			raw[place] ^= 1
			other := base64.StdEncoding.EncodeToString(raw)
			raw[place] ^= 1
			damaged := bytes.Replace(signed, []byte(line.Base64), []byte(other), 1)
			if _, err := open(damaged); err == nil {
				return fmt.Errorf("byte %d of the line of %s is not looked at", place, line.Name)
			}
		}
	}
	other := bytes.Replace(signed, []byte("\n"), []byte("\n1"), 1)
	if _, err := open(other); err == nil {
		return errors.New("another size was accepted")
	}
	return nil
}

// checkProof has torchwood verify a proof, and refuse it for another leaf.
func checkProof(rules []byte, proofPath, leafPath string) error {
	policy, err := torchwood.ParsePolicy(rules)
	if err != nil {
		return err
	}
	proof, err := os.ReadFile(proofPath)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafPath)
	if err != nil {
		return err
	}
	if err := torchwood.VerifyProof(policy, tlog.RecordHash(leaf), proof); err != nil {
		return err
	}
	leaf = append(leaf, '\n')
	if torchwood.VerifyProof(policy, tlog.RecordHash(leaf), proof) == nil {
		return errors.New("another leaf was accepted")
	}
	fmt.Println("the leaf is proven")
	return nil
}
