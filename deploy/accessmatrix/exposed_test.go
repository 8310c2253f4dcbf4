package accessmatrix

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// everywhere are the flags by which other machines reach a program's listeners.
func everywhere() map[string][]string {
	return map[string][]string{
		"ingestd":    {"-http.host=0.0.0.0", "-admin.host=0.0.0.0"},
		"collectd":   {"-admin.host=0.0.0.0"},
		"queryd":     {"-query.host=0.0.0.0", "-admin.host=0.0.0.0"},
		"standalone": {"-http.host=0.0.0.0", "-query.host=0.0.0.0", "-admin.host=0.0.0.0"},
	}
}

// freePorts are the flags by which a program takes free ports.
func freePorts(program string) []string {
	return append([]string{"-admin.port=0"}, map[string][]string{
		"ingestd": {"-http.port=0"}, "queryd": {"-port=0"}, "standalone": {"-http.port=0", "-port=0"},
	}[program]...)
}

// checkExposed starts each program with a listener that other machines reach, without and with a file of principals.
func (s *stack) checkExposed() {
	for program, flags := range everywhere() {
		base := freePorts(program)
		if program == "standalone" {
			base = append(base, "-data-dir="+s.T.TempDir())
		} else {
			base = append(base, s.etcd.flags(program)...)
		}
		for _, flag := range flags {
			code, output := runProgram(s.T, nil, program, append(slices.Clone(base), flag)...)
			if code != 2 {
				s.Errorf("%s %s: got code %d and %.600s, want 2", program, flag, code, output)
			}
			for _, way := range []string{"-access.file", "-oidc.issuer", "-tls.client-ca", "-access.open"} {
				if !strings.Contains(output, way) {
					s.Errorf("%s %s: got %.600s, want %s named in it", program, flag, output, way)
				}
			}
		}
		p := launch(s.T, program, slices.Concat(base, flags, []string{"-access.file=" + s.file("principals")})...)
		if address := p.address("admin listener is up"); strings.HasPrefix(address, "127.") {
			s.Errorf("%s %s: listens on %s", program, flags, address)
		}
		if program != "collectd" {
			p.address(map[string]string{"ingestd": "upload server is up", "queryd": "query server is up", "standalone": "query server is up"}[program])
		}
		p.stop()
	}
}

func TestListenersOfThisMachineOnly(t *testing.T) {
	t.Parallel()
	p := launch(t, "standalone", append(freePorts("standalone"), "-data-dir="+filepath.Join(t.TempDir(), "data"))...)
	for _, message := range []string{"admin listener is up", "upload server is up", "query server is up"} {
		_, port, err := net.SplitHostPort(p.address(message))
		if err != nil {
			t.Fatal(err)
		}
		if !reaches("127.0.0.1", port) {
			t.Errorf("%s: 127.0.0.1 is not reached", message)
		}
		for _, address := range otherAddresses(t) {
			if reaches(address, port) {
				t.Errorf("%s: %s is reached from other machines", message, address)
			}
		}
	}
}

func reaches(host, port string) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// otherAddresses returns the addresses by which other machines reach this one.
func otherAddresses(t *testing.T) (addresses []string) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && !network.IP.IsLoopback() && !network.IP.IsLinkLocalUnicast() {
			addresses = append(addresses, network.IP.String())
		}
	}
	t.Logf("addresses of this machine: %v", addresses)
	return addresses
}
