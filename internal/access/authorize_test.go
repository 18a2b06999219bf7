package access

import "testing"

func TestAuthorize(t *testing.T) {
	var (
		nothing     = demands{}
		user        = demands{user: true}
		certificate = demands{certificate: true}
		both        = demands{user: true, certificate: true}

		nobody       = credentials{}
		withToken    = credentials{token: true}
		withCert     = credentials{certificate: true}
		withAllOfOne = credentials{token: true, certificate: true}
	)
	for name, test := range map[string]struct {
		policy policy
		want   map[credentials]decision
	}{
		"everybody may ask": {
			policy{},
			map[credentials]decision{nobody: allow, withCert: allow},
		},
		"tokens only": {
			policy{tokens: true},
			map[credentials]decision{nobody: requireToken, withToken: allow, withCert: requireToken},
		},
		"users only": {
			policy{atStartup: user, now: user},
			map[credentials]decision{nobody: requireKnownUser, withCert: requireKnownUser},
		},
		"tokens or users": {
			policy{atStartup: user, now: user, tokens: true},
			map[credentials]decision{nobody: requireKnownUser, withToken: allow},
		},
		"certificates only": {
			policy{atStartup: certificate, now: certificate},
			map[credentials]decision{nobody: requireClientCert, withCert: allow},
		},
		"certificates and tokens": {
			policy{atStartup: certificate, now: certificate, tokens: true},
			map[credentials]decision{nobody: requireClientCert, withToken: requireClientCert, withCert: requireToken, withAllOfOne: allow},
		},
		"certificates and users": {
			policy{atStartup: both, now: both},
			map[credentials]decision{nobody: requireClientCert, withCert: requireKnownUser},
		},
		"users added since startup": {
			policy{now: user},
			map[credentials]decision{nobody: requireKnownUser},
		},
		"certificates added since startup": {
			policy{now: certificate},
			map[credentials]decision{nobody: requireClientCert, withCert: allow},
		},
		"users removed since startup": {
			policy{atStartup: user, now: nothing},
			map[credentials]decision{nobody: failClosed, withCert: failClosed},
		},
		"users removed since startup, tokens remain": {
			policy{atStartup: user, now: nothing, tokens: true},
			map[credentials]decision{nobody: requireToken, withToken: allow},
		},
		"users replaced by certificates": {
			policy{atStartup: user, now: certificate},
			map[credentials]decision{nobody: requireClientCert, withCert: failClosed},
		},
		"certificates removed since startup": {
			policy{atStartup: both, now: user, tokens: true},
			map[credentials]decision{nobody: failClosed, withToken: failClosed, withCert: failClosed, withAllOfOne: failClosed},
		},
		"certificates replaced by users": {
			policy{atStartup: certificate, now: user},
			map[credentials]decision{nobody: failClosed, withCert: failClosed},
		},
		"unreadable file": {
			policy{unreadable: true},
			map[credentials]decision{nobody: failClosed, withCert: failClosed},
		},
		"unreadable file with users": {
			policy{atStartup: user, unreadable: true},
			map[credentials]decision{nobody: failClosed, withCert: failClosed},
		},
		"unreadable file beside tokens": {
			policy{atStartup: user, unreadable: true, tokens: true},
			map[credentials]decision{nobody: failClosed, withToken: allow},
		},
		"unreadable file with certificates": {
			policy{atStartup: certificate, unreadable: true, tokens: true},
			map[credentials]decision{nobody: failClosed, withToken: failClosed, withAllOfOne: failClosed},
		},
	} {
		for credentials, want := range test.want {
			if got := authorize(credentials, test.policy); got != want {
				t.Errorf("%s, %+v: decision %d, want %d", name, credentials, got, want)
			}
		}
	}
}
