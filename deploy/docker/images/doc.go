// Images builds the container images of the pipeline without a container engine.
//
// In: static programs, one folder for each platform, as .ci/build writes them. Out: an OCI image for each program and an index
// over its platforms, as a folder in OCI layout, as archives that docker load reads, or pushed to a registry. The same programs
// have images with the same digests: every time is the time of the commit, and every file of an image comes from the program,
// from this package or from a module of a fixed version. It compiles nothing.
//
// It is a module of its own: the modules of the image library are none of the programs'.
package main
