// Package rows finds the rows and cells of CSV text and of its plainer relatives.
//
// In comes a reader, at any pace and in any chunks, with text in UTF-8, or in UTF-16 with a byte order mark as
// Windows writes it. Out come batches of rows in file order, each row with its line number, so that several workers
// can split and parse batches in parallel while the next block is read. The rows depend on the text alone: not on
// chunks, batches or workers.
//
// It never knows a column's name, never keeps more than a block and a line, and never lets a damaged line take others
// with it: each physical line ends up in a row, in a fault, or is blank or a repeated header.
package rows
