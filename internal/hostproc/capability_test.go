package hostproc

import (
	"os"
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
	user := ""
	if os.Geteuid() != 0 {
		user = "--user 0 "
	}
	const purpose = "to enter"
	for want, got := range map[string]string{
		"CAP_SYS_PTRACE is missing to enter: " + user + "--cap-add SYS_PTRACE":                                                    Capabilities(0).ExplainDenial(purpose, SysPtrace),
		"CAP_SYS_PTRACE and CAP_SYS_ADMIN are missing to enter: " + user + "--cap-add SYS_PTRACE --cap-add SYS_ADMIN":             Capabilities(0).ExplainDenial(purpose, SysPtrace, SysAdmin),
		"CAP_SYS_ADMIN is missing to enter: " + user + "--cap-add SYS_ADMIN":                                                      Capabilities(1<<SysPtrace).ExplainDenial(purpose, SysPtrace, SysAdmin),
		"CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE are missing to enter: " + user + "--cap-add DAC_READ_SEARCH --cap-add SYS_PTRACE": Capabilities(1<<SysAdmin).ExplainDenial(purpose, DACReadSearch, SysPtrace),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if text := Capabilities(1<<SysPtrace).ExplainDenial(purpose, SysPtrace); strings.Contains(text, "missing") || strings.Contains(text, "--") || !strings.Contains(text, "AppArmor") {
		t.Errorf("nothing is missing: %s", text)
	}
}
