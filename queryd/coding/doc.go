// Package coding compresses answers for clients whose Accept-Encoding takes gzip or zstd. An answer that is made while it is
// sent stays so: each of its pieces is compressed and sent at once, and an error cuts the connection as it would without
// compression. Clients without the header receive the bytes that they always did.
package coding
