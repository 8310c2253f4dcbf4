package access

import (
	"context"
	"io"
	"log/slog"
	"net/netip"

	"gopkg.in/natefinch/lumberjack.v2"

	"telemetry-pipeline/events/redact"
)

// The audit log's file is exchanged at auditFileMB megabytes, and auditFiles earlier ones are kept.
const (
	auditFileMB = 100
	auditFiles  = 9
)

// auditLog is a line per upload, per call that changes something, and per refusal. It is not sampled.
type auditLog struct {
	lines *slog.Logger
	file  io.Closer // nil: the process's log
}

// newAuditLog returns an audit log in a file, which it creates, or in the process's log.
func newAuditLog(file string, lg *slog.Logger) (*auditLog, error) {
	if file == "" {
		return &auditLog{lines: lg}, nil
	}
	out := &lumberjack.Logger{Filename: file, MaxSize: auditFileMB, MaxBackups: auditFiles}
	if _, err := out.Write(nil); err != nil {
		return nil, err
	}
	return &auditLog{lines: slog.New(redact.NewHandler(slog.NewJSONHandler(out, nil))), file: out}, nil
}

func (a *auditLog) close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// Action is something that the audit log records.
type Action struct {
	RequestID string
	Principal *Principal // nil: nobody was identified
	Address   netip.Addr // zero: of no request
	Method    string     // of HTTP, or the operation of a socket
	Route     string     // template of the path
	Decision  string     // allowed, or the Code of the refusal
	Detail    []slog.Attr
}

// Allowed is the Decision of actions that were allowed.
const Allowed = "allowed"

// Record writes an action to the audit log. Details must hold no secrets.
func (g *Guard) Record(a Action) {
	who, by := "nobody", ByNothing
	if a.Principal != nil {
		who, by = a.Principal.ID, a.Principal.Method
	}
	address := ""
	if a.Address.IsValid() {
		address = a.Address.String()
	}
	attrs := []slog.Attr{
		slog.String("request_id", a.RequestID), slog.String("principal", who), slog.String("identified_by", string(by)),
		slog.String("address", address), slog.String("method", a.Method), slog.String("route", a.Route), slog.String("decision", a.Decision),
	}
	g.audit.lines.LogAttrs(context.Background(), slog.LevelInfo, "audit", append(attrs, a.Detail...)...)
}
