package redact

import (
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
)

// mostDepth bounds how deep maps and groups are followed; what lies deeper is left out.
const mostDepth = 8

// Attr returns an attribute without secrets.
func Attr(a slog.Attr) slog.Attr { return redactAttr(a, mostDepth) }

func redactAttr(a slog.Attr, depth int) slog.Attr {
	a.Value = a.Value.Resolve()
	if isHarmless(a.Value.Kind()) {
		return a
	}
	if depth == 0 || IsSecretKey(a.Key) {
		return slog.String(a.Key, Hidden)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Text(a.Value.String()))
	case slog.KindGroup:
		members := a.Value.Group()
		redacted := make([]slog.Attr, len(members))
		for i, m := range members {
			redacted[i] = redactAttr(m, depth-1)
		}
		a.Value = slog.GroupValue(redacted...)
	case slog.KindAny:
		a.Value = slog.AnyValue(redactAny(a.Value.Any(), depth))
	}
	return a
}

// isHarmless reports whether values of a kind are numbers, times or truth values.
func isHarmless(k slog.Kind) bool {
	return k != slog.KindString && k != slog.KindGroup && k != slog.KindAny && k != slog.KindLogValuer
}

// isCleanAttr reports whether redactAttr would return an attribute as it is. It may say no where it would: of values that are rare.
func isCleanAttr(a slog.Attr) bool {
	kind := a.Value.Kind()
	if isHarmless(kind) {
		return true
	}
	if IsSecretKey(a.Key) {
		return false
	}
	switch kind {
	case slog.KindString:
		return isClean(a.Value.String())
	case slog.KindAny:
		return isCleanAny(a.Value.Any())
	}
	return false // groups and LogValuers
}

func isCleanAny(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case error:
		return isClean(errorText(v))
	case *url.URL, url.URL:
		return false
	case fmt.Stringer:
		return true
	}
	kind := reflect.TypeOf(v).Kind()
	if kind == reflect.String {
		return isClean(reflect.ValueOf(v).String())
	}
	return kind != reflect.Map && kind != reflect.Slice && kind != reflect.Pointer
}

// errorText returns the text of an error, "" for one that is a nil pointer and panics.
func errorText(err error) (text string) {
	defer func() { _ = recover() }() // the handler shows it as nil
	return err.Error()
}

// redactAny returns a value without secrets.
func redactAny(v any, depth int) any {
	switch v := v.(type) {
	case nil:
		return nil
	case error:
		if text := errorText(v); !isClean(text) {
			return Text(text)
		}
		return v
	case *url.URL:
		if v == nil {
			return v
		}
		return Text(v.String())
	case url.URL:
		return Text(v.String())
	case slog.Value:
		return redactAttr(slog.Attr{Value: v}, depth).Value.Any()
	}
	of := reflect.ValueOf(v)
	switch of.Kind() {
	case reflect.String:
		if !isClean(of.String()) {
			return Text(of.String())
		}
	case reflect.Map:
		return redactMap(of, depth)
	case reflect.Slice:
		return redactSlice(of, depth)
	}
	return v
}

// redactMap returns a map with the values of an original whose keys name no secret. Only keys of text can.
func redactMap(of reflect.Value, depth int) any {
	if of.Type().Key().Kind() != reflect.String {
		return of.Interface()
	}
	out := make(map[string]any, of.Len())
	for entries := of.MapRange(); entries.Next(); {
		key := entries.Key().String()
		out[key] = redactAttr(slog.Any(key, entries.Value().Interface()), depth-1).Value.Any()
	}
	return out
}

// redactSlice returns a slice with the elements of an original without their secrets; bytes and numbers stay.
func redactSlice(of reflect.Value, depth int) any {
	switch of.Type().Elem().Kind() {
	case reflect.String, reflect.Map, reflect.Slice, reflect.Interface:
	default:
		return of.Interface()
	}
	out := make([]any, of.Len())
	for i := range out {
		out[i] = redactAttr(slog.Any("", of.Index(i).Interface()), depth-1).Value.Any()
	}
	return out
}
