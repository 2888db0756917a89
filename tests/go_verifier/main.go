// Judges client certificates with Go's crypto/x509, as Temporal's server does in a handshake. A line on its standard
// input is one question, a line on its standard output the answer: why it refuses, or nothing.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

type question struct {
	Presented [][]byte
	Trusted   [][]byte
	At        int64
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		answer := ""
		if err := judge(asked); err != nil {
			answer = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(answer)
	}
}

func judge(asked question) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, der := range asked.Trusted {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		roots.AddCert(root)
	}
	var own *x509.Certificate
	for _, der := range asked.Presented {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if own == nil {
			own = certificate
		} else {
			intermediates.AddCert(certificate)
		}
	}
	_, err := own.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   time.Unix(asked.At, 0),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}
