package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

const (
	longHeader = "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"
	model      = "NVIDIA H100 80GB HBM3"
)

// file writes scrapes of one form.
func file(kind string, scrapes ...scrape) upload {
	u := upload{kind: kind}
	var b bytes.Buffer
	b.WriteString(longHeader)
	if scrapes[0].wide {
		u.kind += ", wide"
		b.Reset()
		b.WriteString("timestamp,hostname,gpu_id,uuid")
		for _, g := range gauges() {
			b.WriteString("," + g.column)
		}
		b.WriteByte('\n')
	}
	for _, s := range scrapes {
		for _, h := range s.hosts {
			for g := range gpusPerHost {
				u.addRow(&b, s, h, g)
			}
		}
	}
	u.content = b.Bytes()
	return u
}

// addRow writes the readings of one GPU.
func (u *upload) addRow(b *bytes.Buffer, s scrape, h, g int) {
	gpu, stamp := gpuName(h, g), s.at.Format(time.RFC3339)
	wide := row{}
	if s.wide {
		fmt.Fprintf(b, "%s,%s,%d,%s", stamp, hostName(h), g, gpu)
	}
	for _, m := range gauges() {
		r := reading{gpu, m.name, s.at.UnixNano()}
		value := m.value(gpu, r.at)
		text := strings.TrimPrefix(value, absentBlank)
		if s.wide {
			b.WriteString("," + text)
			wide.readings, wide.values = append(wide.readings, r), append(wide.values, value)
			continue
		}
		fmt.Fprintf(b, `%s,%s,%d,nvidia%d,%s,%s,%s,,,,%s,"instance=""%s:9400"",job=""dcgm"""`+"\n", stamp, m.name, g, g, gpu, model, hostName(h), text, hostName(h))
		u.rows = append(u.rows, row{b.Len(), []reading{r}, []string{value}})
	}
	if s.wide {
		b.WriteByte('\n')
		wide.end = b.Len()
		u.rows = append(u.rows, wide)
	}
}

// listRecords counts the readings of a file.
func (u *upload) listRecords() int {
	n := 0
	for _, r := range u.rows {
		n += len(r.readings)
	}
	return n
}
