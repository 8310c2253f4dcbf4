package accessmatrix

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// commandCases returns the command lines of every command, by program. A command that is not here fails the test.
func (s *stack) commandCases() map[string]map[string][]string {
	return map[string]map[string][]string{
		"ingestd": {
			"upload": {"-retry-for=-1s", "-quiet", "-wait", "FILE"},
			"watch":  {"DIR"},
			"health": {"-live"},
		},
		"queryd": {
			"subscribe": {"-retry-for=-1s", "subscription{gpuMetrics{gpus{id host metrics}}}"},
			"token":     {"new", "-name=somebody", "-roles=read", "-scope=*"},
			"health":    {"-live"},
		},
		"collectd": {
			"tail":        {"-once", "-from=0"},
			"export":      {},
			"generations": {},
			"archive":     {"check"},
			"rebuild":     {"-compare"},
			"import":      {"FILE"},
			"join":        {"-host=" + foreignHost, "-node=" + ownHost},
			"restored":    {},
			"access":      {"-enable"},
			"snapshot":    {"-dir=" + s.T.TempDir()},
			"health":      {"-live"},
		},
	}
}

// walkCommands runs the commands that call servers with right, wrong and no credentials.
func (s *stack) walkCommands() {
	for program, cases := range s.commandCases() {
		for _, name := range commandNames(s.T, program) {
			if _, known := cases[name]; !known {
				s.Errorf("%s has the command %s, which the table of this test does not know: add it", program, name)
			}
		}
	}
	s.checkUploadCommand()
	s.checkSubscribeCommand()
	s.checkWatchCommand()
}

// checkEtcdCommands runs the commands of collectd as users of etcd.
func (s *stack) checkEtcdCommands() {
	var running sync.WaitGroup // most of them wait for etcd
	defer running.Wait()
	for name, args := range s.commandCases()["collectd"] {
		if name == "health" {
			continue // it asks the daemon, not etcd
		}
		args = slices.Clone(args)
		if name == "import" {
			args[0] = s.writeTemp("events.ndjson", nil)
		}
		if slices.Contains([]string{"archive", "export", "import", "join", "rebuild"}, name) {
			args = append(args, "-archive.url="+s.archive)
		}
		for _, user := range []string{"mallory", ""} {
			flags := slices.Concat([]string{name}, args, s.etcd.flags(user), []string{"-etcd.dial-timeout=500ms"})
			running.Go(func() {
				if code, output := runProgram(s.T, nil, "collectd", flags...); code != 1 || foreignWordIn(output) != "" {
					s.Errorf("collectd %s as user %q of etcd: got code %d and %.600s, want 1 and nothing of the log", name, user, code, output)
				}
			})
		}
		if slices.Contains([]string{"tail", "export", "generations", "archive", "import"}, name) {
			code, output := runProgram(s.T, nil, "collectd", slices.Concat([]string{name}, args, s.etcd.flags("collectd"))...)
			if code != 0 || (name == "tail" || name == "export") && foreignWordIn(output) == "" {
				s.Errorf("collectd %s as user collectd of etcd: got code %d and %.600s, want it done", name, code, output)
			}
		}
	}
}

func (s *stack) writeTemp(name string, content []byte) string {
	s.Helper()
	file := filepath.Join(s.T.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

// credentialFlags returns the flags and variables with which a command shows the credentials of a principal.
func (s *stack) credentialFlags(p *principal) (flags, environment []string) {
	flags = []string{"-ca=" + s.world.servers.File}
	switch {
	case p.cert != nil:
		dir := s.file("client-machine")
		return append(flags, "-cert="+filepath.Join(dir, "client.crt"), "-key="+filepath.Join(dir, "client.key")), nil
	case p.token == "":
		return flags, nil
	case len(p.name)%2 == 0:
		return flags, []string{"TOKEN=" + p.token}
	default:
		return append(flags, "-token-file="+s.writeTemp("token", []byte(p.token+"\n"))), nil
	}
}

// checkUploadCommand uploads own and foreign telemetry by the command.
func (s *stack) checkUploadCommand() {
	files := map[string]string{
		ownHost:     s.writeTemp("own.csv", oneReading(s.now.Add(-90*time.Second), ownHost, 5)),
		foreignHost: s.writeTemp("others.csv", oneReading(s.now.Add(-90*time.Second), foreignHost, 5)),
	}
	for name, want := range map[string]map[string]int{
		"nobody": {ownHost: 4}, "unlisted": {ownHost: 4}, "read-own": {ownHost: 4},
		"ingest-own": {ownHost: 0, foreignHost: 4}, "certificate-own": {ownHost: 0, foreignHost: 4}, "oidc-whole": {ownHost: 0, foreignHost: 0},
	} {
		flags, environment := s.credentialFlags(s.named(name))
		for host, code := range want {
			got, output := runProgram(s.T, environment, "ingestd", slices.Concat([]string{"upload", "-url=" + s.uploads}, flags, s.commandCases()["ingestd"]["upload"][:3], []string{files[host]})...)
			if got != code {
				s.Errorf("ingestd upload of %s as %s: got code %d and %.600s, want %d", host, name, got, output, code)
			}
			s.checkOutput("ingestd upload as "+name, output)
		}
	}
}

func (s *stack) checkOutput(what, output string) {
	s.Helper()
	for _, secret := range s.secrets {
		if strings.Contains(output, secret) {
			s.Errorf("%s prints the token", what)
		}
	}
}

// checkSubscribeCommand subscribes by the command.
func (s *stack) checkSubscribeCommand() {
	args := s.commandCases()["queryd"]["subscribe"]
	for _, name := range []string{"nobody", "unlisted", "ingest-own", "read-nothing"} {
		flags, environment := s.credentialFlags(s.named(name))
		code, output := runProgram(s.T, environment, "queryd", slices.Concat([]string{"subscribe", "-url=" + s.queries}, flags, args)...)
		if code == 0 || foreignWordIn(output) != "" || strings.Contains(output, ownHost) {
			s.Errorf("queryd subscribe as %s: got code %d and %.600s, want a refusal", name, code, output)
		}
		s.checkOutput("queryd subscribe as "+name, output)
	}
	for _, name := range []string{"read-own", "certificate-own", "oidc-own"} {
		flags, environment := s.credentialFlags(s.named(name))
		p := launchWith(s.T, environment, "queryd", slices.Concat([]string{"subscribe", "-url=" + s.queries}, flags, args)...)
		eventually(s.T, "queryd subscribe as "+name, func() (bool, string) { output := p.output(); return strings.Contains(output, ownHost), output })
		p.stop()
		if word := foreignWordIn(p.output()); word != "" {
			s.Errorf("queryd subscribe as %s: %q of a foreign host is in %.600s", name, word, p.output())
		}
		s.checkOutput("queryd subscribe as "+name, p.output())
	}
}

// checkWatchCommand ships a log file by the command: a principal of own hosts ships own readings, and nobody ships nothing.
func (s *stack) checkWatchCommand() {
	for _, name := range []string{"nobody", "ingest-own"} {
		dir := s.T.TempDir()
		value := map[string]int{"nobody": 4711, "ingest-own": 4712}[name]
		content := oneReading(s.now.Add(30*time.Second), "own-2", value)
		if err := os.WriteFile(filepath.Join(dir, "gpu.log"), content, 0o600); err != nil {
			s.Fatal(err)
		}
		flags, environment := s.credentialFlags(s.named(name))
		p := launchWith(s.T, environment, "ingestd", slices.Concat([]string{"watch", "-url=" + s.uploads, "-state=" + filepath.Join(s.T.TempDir(), "state")}, flags, []string{dir})...)
		shipped := func() (bool, string) {
			_, text := get(s.T, s.client(s.named("read-own")), s.queries+"/api/v1/gpus")
			return strings.Contains(text, `:4712`) || strings.Contains(p.output(), "say who you are"), text + p.output()
		}
		eventually(s.T, "ingestd watch as "+name, shipped)
		p.stop()
		if _, text := get(s.T, s.client(s.named("read-own")), s.queries+"/api/v1/gpus"); strings.Contains(text, ":4711") {
			s.Errorf("ingestd watch as nobody shipped a reading")
		}
		s.checkOutput("ingestd watch as "+name, p.output())
	}
}
