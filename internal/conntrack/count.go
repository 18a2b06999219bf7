package conntrack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxCountLength bounds the beginning of the file that DecodeCount reads: its first two lines have some 350 bytes.
const maxCountLength = 4096

var errNoCount = errors.New("want a header that begins with entries, and a row")

// DecodeCount returns the number of rows of the table, from /proc/<pid>/net/stat/nf_conntrack (net/netfilter/nf_conntrack_standalone.c,
// ct_cpu_seq_show). Each CPU has a row of hexadecimal numbers. The first number of each is the total of the network namespace:
//
//	entries  clashres found new invalid ignore delete …
//	0000000c  00000000 00000000 00000000 00000000 00000000 00000000 …
func DecodeCount(r io.Reader) (int, error) {
	scanner := bufio.NewScanner(io.LimitReader(r, maxCountLength))
	if !scanner.Scan() || !strings.HasPrefix(scanner.Text(), "entries ") || !scanner.Scan() {
		return 0, errors.Join(errNoCount, scanner.Err())
	}
	text, _, _ := strings.Cut(scanner.Text(), " ")
	count, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("entries: %w", err)
	}
	return int(count), nil
}
