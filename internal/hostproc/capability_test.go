package hostproc

import (
	"strings"
	"testing"
)

func TestParseCapabilities(t *testing.T) {
	got, err := parseCapabilities("Name:\tit\nCapPrm:\t0000000000000000\nCapEff:\t0000000000280000\nCapBnd:\t000001ffffffffff\n")
	if err != nil || !got.Has(SysPtrace) || !got.Has(SysAdmin) || got.Has(DACReadSearch) {
		t.Errorf("%x, %v", got, err)
	}
	for _, text := range []string{"", "CapEff:\n", "CapEff:\tx\n", "CapEff:\t10000000000000000\n", "CapPrm:\t0\n"} {
		if got, err := parseCapabilities(text); err == nil || got != 0 {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
}

func TestExplainDenialNamesMissingCapabilities(t *testing.T) {
	for want, got := range map[string]string{
		"CAP_SYS_PTRACE is missing":                          Capabilities(0).ExplainDenial(SysPtrace),
		"CAP_SYS_PTRACE and CAP_SYS_ADMIN are missing":       Capabilities(0).ExplainDenial(SysPtrace, SysAdmin),
		"CAP_SYS_ADMIN is missing":                           Capabilities(1<<SysPtrace).ExplainDenial(SysPtrace, SysAdmin),
		"CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE are missing": Capabilities(1<<SysAdmin).ExplainDenial(DACReadSearch, SysPtrace),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if text := Capabilities(1 << SysPtrace).ExplainDenial(SysPtrace); strings.Contains(text, "missing") || !strings.Contains(text, "AppArmor") {
		t.Errorf("nothing is missing: %s", text)
	}
}
