package procnet

import (
	"os"
	"strings"
	"testing"
)

func TestDecodeOpens(t *testing.T) {
	const names = "Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm RtoMin ActiveOpens PassiveOpens AttemptFails CurrEstab\n"
	for name, test := range map[string]struct {
		text string
		want Opens
		ok   bool
	}{
		"right":           {names + "Tcp: 1 200 12 7 9 3\nUdp: InDatagrams\n", Opens{12, 7, 3}, true},
		"another order":   {"Tcp: CurrEstab PassiveOpens ActiveOpens\nTcp: 1 2 3\n", Opens{3, 2, 1}, true},
		"largest":         {names + "Tcp: 1 -1 18446744073709551615 0 0 0\n", Opens{Active: 1<<64 - 1}, true},
		"empty":           {"", Opens{}, false},
		"names alone":     {names, Opens{}, false},
		"a name missing":  {"Tcp: ActiveOpens PassiveOpens\nTcp: 1 2\n", Opens{}, false},
		"a value missing": {names + "Tcp: 1 200 12 7 9\n", Opens{}, false},
		"no number":       {names + "Tcp: 1 200 12 x 9 3\n", Opens{}, false},
		"negative":        {names + "Tcp: 1 200 12 -7 9 3\n", Opens{}, false},
		"too large":       {names + "Tcp: 1 200 18446744073709551616 7 9 3\n", Opens{}, false},
		"repeated":        {names + "Tcp: 1 200 12 7 9 3\nTcp: 1 200 12 7 9 3\n", Opens{}, false},
		"cut short":       {names + "Tcp: 1 200 12 7 9 3", Opens{}, false},
	} {
		if got, err := DecodeOpens(strings.NewReader(test.text)); got != test.want || (err == nil) != test.ok {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDecodeOpensOfTheKernel(t *testing.T) {
	file, err := os.Open("/proc/self/net/snmp")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := DecodeOpens(file); err != nil {
		t.Error(err)
	}
}

func FuzzOpens(f *testing.F) {
	f.Add("Tcp: ActiveOpens PassiveOpens CurrEstab\nTcp: 1 2 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		if opens, err := DecodeOpens(strings.NewReader(text)); err != nil && opens != (Opens{}) {
			t.Errorf("%+v with %v", opens, err)
		}
	})
}
