package access

import "testing"

func TestAuthorize(t *testing.T) {
	var (
		nothing     = demands{}
		user        = demands{user: true}
		certificate = demands{certificate: true}
		both        = demands{user: true, certificate: true}

		nobody       = proof{}
		withToken    = proof{token: true}
		withCert     = proof{certificate: true}
		withSession  = proof{user: true}
		withAllOfOne = proof{token: true, certificate: true}
	)
	for name, test := range map[string]struct {
		policy policy
		want   map[proof]decision
	}{
		"everybody may ask": {
			policy{},
			map[proof]decision{nobody: allow, withCert: allow},
		},
		"tokens only": {
			policy{tokens: true},
			map[proof]decision{nobody: requireToken, withToken: allow, withCert: requireToken, withSession: requireToken},
		},
		"users only": {
			policy{atStartup: user, now: user},
			map[proof]decision{nobody: checkPassword, withCert: checkPassword, withSession: allow},
		},
		"tokens or users": {
			policy{atStartup: user, now: user, tokens: true},
			map[proof]decision{nobody: checkPassword, withToken: allow, withSession: allow},
		},
		"certificates only": {
			policy{atStartup: certificate, now: certificate},
			map[proof]decision{nobody: requireClientCert, withCert: allow},
		},
		"certificates and tokens": {
			policy{atStartup: certificate, now: certificate, tokens: true},
			map[proof]decision{nobody: requireClientCert, withToken: requireClientCert, withCert: requireToken, withAllOfOne: allow},
		},
		"certificates and users": {
			policy{atStartup: both, now: both},
			map[proof]decision{nobody: requireClientCert, withCert: checkPassword, withSession: requireClientCert},
		},
		"users added since startup": {
			policy{now: user},
			map[proof]decision{nobody: checkPassword},
		},
		"certificates added since startup": {
			policy{now: certificate},
			map[proof]decision{nobody: requireClientCert, withCert: allow},
		},
		"users removed since startup": {
			policy{atStartup: user, now: nothing},
			map[proof]decision{nobody: failClosed, withCert: failClosed, withSession: failClosed},
		},
		"users removed since startup, tokens remain": {
			policy{atStartup: user, now: nothing, tokens: true},
			map[proof]decision{nobody: requireToken, withToken: allow},
		},
		"users replaced by certificates": {
			policy{atStartup: user, now: certificate},
			map[proof]decision{nobody: requireClientCert, withCert: failClosed},
		},
		"certificates removed since startup": {
			policy{atStartup: both, now: user, tokens: true},
			map[proof]decision{nobody: failClosed, withToken: failClosed, withCert: failClosed, withAllOfOne: failClosed},
		},
		"certificates replaced by users": {
			policy{atStartup: certificate, now: user},
			map[proof]decision{nobody: failClosed, withCert: failClosed},
		},
		"unreadable file": {
			policy{unreadable: true},
			map[proof]decision{nobody: failClosed, withCert: failClosed},
		},
		"unreadable file with users": {
			policy{atStartup: user, unreadable: true},
			map[proof]decision{nobody: failClosed, withCert: failClosed},
		},
		"unreadable file beside tokens": {
			policy{atStartup: user, unreadable: true, tokens: true},
			map[proof]decision{nobody: failClosed, withToken: allow},
		},
		"unreadable file with certificates": {
			policy{atStartup: certificate, unreadable: true, tokens: true},
			map[proof]decision{nobody: failClosed, withToken: failClosed, withAllOfOne: failClosed},
		},
	} {
		for proof, want := range test.want {
			if got := authorize(proof, test.policy); got != want {
				t.Errorf("%s, %+v: decision %d, want %d", name, proof, got, want)
			}
		}
	}
}
