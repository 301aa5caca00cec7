// Pushcast from Node: produce to Kafka, call the gateway, verify a webhook. See ../README.md.
import { createHmac, timingSafeEqual } from "node:crypto";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import kafkajs from "kafkajs";

async function produce(bootstrap, topic) {
  const kafka = new kafkajs.Kafka({ brokers: [bootstrap], logLevel: kafkajs.logLevel.ERROR });
  // The default partitioner of KafkaJS 2 hashes keys as Java does.
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  const lines = (await text(process.stdin)).split("\n").filter(Boolean);
  const messages = lines.map((line) => ({ key: JSON.parse(line).user, value: line }));
  await producer.send({ topic, acks: -1, messages });
  await producer.disconnect();
}

async function call(url, key) {
  const body = await text(process.stdin);
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  let answer;
  for (let round = 0; round < 5; round++) {
    answer = await fetch(`${url}/v1/notifications`, { method: "POST", headers, body });
    if (answer.status !== 429 && answer.status !== 503) break;
    await pause(1000 * Number(answer.headers.get("Retry-After") ?? 1));
  }
  console.log(answer.status, await answer.text());
  process.exitCode = answer.status === 202 ? 0 : 1;
}

async function verify(secret, id, timestamp, signatures) {
  const body = await text(process.stdin);
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const made = Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64"));
  const recent = Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300;
  const fits = (each) => each.length === made.length && timingSafeEqual(Buffer.from(each), made);
  process.exitCode = recent && signatures.split(" ").some(fits) ? 0 : 1;
}

const [command, ...words] = process.argv.slice(2);
await { produce, call, verify }[command](...words);
