// Package watch ships what growing log files of a directory gain to the upload server.
//
// In: a directory. Out: uploads, each a file's header and the complete lines that came since the last one.
// What has been shipped is remembered on disk after the server has said so, so a crash in between ships
// lines again, which changes nothing. A file that is renamed when logs are rotated is followed under its new name;
// one that is cut off and written anew is read from its beginning. What the server refuses is kept where it is,
// told, and tried again now and then, while the other files go on.
//
// It never changes the files, never ships half a row, and never holds more than a shipment in memory.
package watch
