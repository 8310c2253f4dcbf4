// Package smiapps reads the lists of processes that nvidia-smi --query-compute-apps writes as CSV.
//
// In come rows: a GPU, a process on it, the memory that it uses. Out goes a record per row, of the part pid:N of the
// GPU, or a rejection. A process's name may hold anything, the separator too, and is not quoted: the cells before it
// are counted from the left, the cells behind it from the right, and the text between them is the name.
//
// It never speaks HTTP, never adds the memory of processes to a GPU's, and never takes a list without processes for a
// damaged file.
package smiapps
