// Pushcast from Go: produce to Kafka, call the gateway, verify a webhook. See ../README.md.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func produce(bootstrap, topic string) {
	client := must(kgo.NewClient(kgo.SeedBrokers(bootstrap))) // its default partitioner hashes keys as Java does
	defer client.Close()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var event struct{ User string }
		check(json.Unmarshal(lines.Bytes(), &event))
		record := &kgo.Record{Topic: topic, Key: []byte(event.User), Value: bytes.Clone(lines.Bytes())}
		client.Produce(context.Background(), record, func(_ *kgo.Record, err error) { check(err) })
	}
	check(client.Flush(context.Background()))
}

func call(url, key string) {
	event := must(io.ReadAll(os.Stdin))
	for round := 0; round < 5; round++ {
		request := must(http.NewRequest("POST", url+"/v1/notifications", bytes.NewReader(event)))
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/json")
		answer := must(http.DefaultClient.Do(request))
		fmt.Println(answer.StatusCode, string(must(io.ReadAll(answer.Body))))
		if answer.StatusCode == 202 {
			return
		} else if answer.StatusCode != 429 && answer.StatusCode != 503 {
			break
		}
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		time.Sleep(time.Duration(max(seconds, 1)) * time.Second)
	}
	os.Exit(1)
}

func verify(secret, id, timestamp, signatures string) {
	mac := hmac.New(sha256.New, must(base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))))
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, must(io.ReadAll(os.Stdin)))
	made := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	recent := time.Since(time.Unix(must(strconv.ParseInt(timestamp, 10, 64)), 0)).Abs() <= 5*time.Minute
	for _, each := range strings.Fields(signatures) {
		if recent && hmac.Equal([]byte(made), []byte(each)) {
			return
		}
	}
	log.Fatal("the signature does not fit")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func main() {
	switch a := os.Args[1:]; a[0] {
	case "produce":
		produce(a[1], a[2])
	case "call":
		call(a[1], a[2])
	default:
		verify(a[1], a[2], a[3], a[4])
	}
}
