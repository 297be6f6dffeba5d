// Command geth-keystore opens a Web3 Secret Storage file with go-ethereum's own code and prints the
// address of the private key that it holds: the proof, from outside, that an export opens in geth.
//
// Usage: geth-keystore KEYSTORE-FILE PASSWORD-FILE
package main

import (
	"fmt"
	"os"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/crypto"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "geth-keystore:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want a keystore file and a password file, got %d arguments", len(args))
	}
	file, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	password, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	key, err := keystore.DecryptKey(file, string(password))
	if err != nil {
		return err
	}
	// Derived again from the private key: key.Address is what the file claims.
	fmt.Println(crypto.PubkeyToAddress(key.PrivateKey.PublicKey).Hex())
	return nil
}
