// Package unpack takes off what a file is packed in before it is text: gzip, zstd and age, one in the other,
// recognised by how they begin.
//
// In comes a reader of whatever was sent. Out goes a reader of the text, as it arrives; text that is not
// packed passes as it is. What packs to a small file can unpack to a huge one, so all that comes out is bounded
// in bytes and in its ratio to what went in, layer by layer, while it flows.
//
// It never holds a file, never gives bytes beyond a bound, and never mistakes an archive that breaks off for
// one that ends.
package unpack
