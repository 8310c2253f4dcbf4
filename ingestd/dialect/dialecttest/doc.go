// Package dialecttest runs files through a dialect as the server does, and compares the results with text.
//
// In come a dialect and a file. Out go records, rejections and warnings in a form that can be read and compared.
//
// It is never linked into a daemon.
package dialecttest
