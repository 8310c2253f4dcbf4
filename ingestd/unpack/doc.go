// Package unpack removes the packing of a file around its text: gzip, zstd and age, one in the other, recognized by
// their first bytes.
//
// In comes a reader of the bytes as sent. Out goes a reader of the text, as it arrives; text that is not packed
// passes as it is. A small packed file can unpack to a huge one, so the output is bounded in bytes and in its ratio
// to the input, layer by layer, while it flows.
//
// It never holds a file, never returns bytes beyond a bound, and never mistakes an archive that breaks off for one
// that ends.
package unpack
