package procnet

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// Opens counts the connections of a network namespace since its beginning.
type Opens struct {
	// Active and Passive are the connections that were dialled and accepted. Failed dials count too.
	Active, Passive uint64
	// Established is how many are established now. Since Linux 6.11 it includes those that only the other side has closed.
	Established uint64
}

var errNoOpens = errors.New("no line of TCP with the counters of connections")

// maxSNMPRows is many times the lines of the file.
const maxSNMPRows = 256

// DecodeOpens decodes /proc/<pid>/net/snmp (net/ipv4/proc.c, snmp_seq_show). It reads a line of names and one of values such as
//
//	Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs …
//	Tcp: 1 200 120000 -1 12 7 0 1 3 5000 …
//
// A text without both lines, or with a malformed one, is an error.
func DecodeOpens(r io.Reader) (Opens, error) {
	var opens Opens
	var names [3]int // columns of the wanted names; 0 is the name of the line
	lines := 0
	err := eachRow(r, maxSNMPRows, func(row []byte) (err error) {
		if !bytes.HasPrefix(row, []byte("Tcp: ")) {
			return nil
		}
		lines++
		fields := splitFields(row)
		switch lines {
		case 1:
			names = [3]int{column(fields, "ActiveOpens"), column(fields, "PassiveOpens"), column(fields, "CurrEstab")}
			return nil
		case 2: //nolint:mnd // the values
			for i, counter := range []*uint64{&opens.Active, &opens.Passive, &opens.Established} {
				if names[i] == 0 || names[i] >= len(fields) {
					return errNoOpens
				}
				if *counter, err = strconv.ParseUint(string(fields[names[i]]), 10, 64); err != nil {
					return errNoOpens
				}
			}
			return nil
		}
		return errRepeated
	})
	if err == nil && lines < 2 { //nolint:mnd // names and values
		err = errNoOpens
	}
	if err != nil {
		return Opens{}, err
	}
	return opens, nil
}

// column returns the index of a name, or 0.
func column(fields [][]byte, name string) int {
	for i, field := range fields {
		if string(field) == name {
			return i
		}
	}
	return 0
}
