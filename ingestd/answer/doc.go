// Package answer is the contract with senders of uploads: receipts of files, refusals with their codes and statuses, and
// the bodies of answers that are made of both.
//
// In come counts of rows and events, and errors; out come values with a fixed JSON form. An answer in the background is
// truncated to a bounded size; its sums stay.
//
// It never does I/O and knows no HTTP server: a refusal's status is a number that belongs to its code.
package answer
