// Command tlog-client reads a running countersign service as any client of a C2SP tlog-tiles log would, with the code of
// Go's checksum database: the signed checkpoint, tiles and entry bundles. It checks that every entry bundle has the
// entries that the tiles commit to, the inclusion of each entry, consistency with every earlier checkpoint, and the
// tlog-proof that the service itself gives of each entry.
//
// Usage: tlog-client URL VKEY TOKEN-FILE
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Levels of the tree in one tile: 2^8 hashes are a full one.
const height = 8

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tlog-client:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("want a URL, a verifier key and a token file, got %d arguments", len(args))
	}
	token, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	log := &client{prefix: args[0] + "/v1/audit", token: strings.TrimSpace(string(token)), verifier: verifier}
	text, err := log.get("/checkpoint")
	if err != nil {
		return err
	}
	tree, err := log.open(text)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, log)
	if err := log.checkEntries(tree, hashes); err != nil {
		return err
	}
	older, err := log.checkOlder(tree, hashes)
	if err != nil {
		return err
	}
	fmt.Printf("%d entries, %d checkpoints, %d tiles\n", tree.N, older, log.tiles)
	return nil
}

type client struct {
	prefix   string
	token    string
	verifier note.Verifier
	// Fetched so far.
	tiles int
}

func (c *client) get(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, c.prefix+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return body, nil
}

// open verifies a checkpoint's signature, and that it is this log's.
func (c *client) open(text []byte) (tlog.Tree, error) {
	signed, err := note.Open(text, note.VerifierList(c.verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("checkpoint of %d lines", len(lines)-1)
	}
	if lines[0] != c.verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("checkpoint of %q, not %q", lines[0], c.verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// Height, ReadTiles and SaveTiles make the client a tlog.TileReader.
func (c *client) Height() int { return height }

func (c *client) SaveTiles([]tlog.Tile, [][]byte) {}

func (c *client) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range tiles {
		// The checksum database has the height in its paths; tlog-tiles fixed it.
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "/tile/", 1)
		data, err := c.get(path)
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(data))
		}
		c.tiles++
		read = append(read, data)
	}
	return read, nil
}

// checkEntries fetches every entry, and proves each of them in two ways.
func (c *client) checkEntries(tree tlog.Tree, hashes tlog.HashReader) error {
	const full = 1 << height
	for first := int64(0); first < tree.N; first += full {
		width := min(tree.N-first, full)
		tile := tlog.Tile{H: height, L: -1, N: first / full, W: int(width)}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/data/", height), "/tile/entries/", 1)
		bundle, err := c.get(path)
		if err != nil {
			return err
		}
		for index := first; index < first+width; index++ {
			entry, rest, err := split(bundle)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			bundle = rest
			if err := c.checkEntry(tree, hashes, index, entry); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
		}
		if len(bundle) != 0 {
			return fmt.Errorf("%s has %d bytes too many", path, len(bundle))
		}
	}
	return nil
}

func split(bundle []byte) (entry, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errors.New("the bundle is too short")
	}
	length := int(binary.BigEndian.Uint16(bundle))
	if len(bundle) < 2+length {
		return nil, nil, errors.New("the bundle is too short")
	}
	return bundle[2 : 2+length], bundle[2+length:], nil
}

func (c *client) checkEntry(tree tlog.Tree, hashes tlog.HashReader, index int64, entry []byte) error {
	var said struct{ Index int64 }
	if err := json.Unmarshal(entry, &said); err != nil {
		return err
	}
	if said.Index != index {
		return fmt.Errorf("it says that it is entry %d", said.Index)
	}
	leaf := tlog.RecordHash(entry)
	path, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, leaf); err != nil {
		return err
	}
	proof, err := c.get(fmt.Sprintf("/entries/%d/proof", index))
	if err != nil {
		return err
	}
	return c.checkProof(proof, index, leaf)
}

// checkProof verifies a tlog-proof.
func (c *client) checkProof(proof []byte, index int64, leaf tlog.Hash) error {
	head, checkpoint, found := bytes.Cut(proof, []byte("\n\n"))
	if !found {
		return errors.New("a proof without checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", index) {
		return fmt.Errorf("a proof that begins with %q", lines)
	}
	tree, err := c.open(checkpoint)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return fmt.Errorf("a proof with the hash %q", line)
		}
		path = append(path, tlog.Hash(hash))
	}
	return tlog.CheckRecord(path, tree.N, tree.Hash, index, leaf)
}

// checkOlder proves that the tree continues those of all earlier checkpoints. It returns how many there are.
func (c *client) checkOlder(tree tlog.Tree, hashes tlog.HashReader) (int, error) {
	count := 0
	for cursor := "0"; ; {
		body, err := c.get("/checkpoints?cursor=" + cursor)
		if err != nil {
			return 0, err
		}
		var page struct {
			Items      []struct{ Note string }
			NextCursor *string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return 0, err
		}
		for _, item := range page.Items {
			older, err := c.open([]byte(item.Note))
			if err != nil {
				return 0, err
			}
			// Signed after the checkpoint that all this is about.
			if older.N > tree.N {
				return count, nil
			}
			proof, err := tlog.ProveTree(tree.N, older.N, hashes)
			if err != nil {
				return 0, err
			}
			if err := tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash); err != nil {
				return 0, fmt.Errorf("checkpoint of %d entries: %w", older.N, err)
			}
			count++
		}
		if page.NextCursor == nil {
			return count, nil
		}
		cursor = *page.NextCursor
	}
}
