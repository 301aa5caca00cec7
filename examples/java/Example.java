// Pushcast from Java: produce to Kafka, call the gateway, verify a webhook. See ../README.md.
// java -cp 'lib/*' Example.java COMMAND … with kafka-clients and Jackson in lib/.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.Future;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.StringSerializer;

class Example {
    static void produce(String bootstrap, String topic) throws Exception {
        var config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("acks", "all");
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var sent = new ArrayList<Future<RecordMetadata>>();
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (String line; (line = lines.readLine()) != null; ) {
                String user = new ObjectMapper().readTree(line).get("user").asText();
                sent.add(producer.send(new ProducerRecord<>(topic, user, line))); // the default partitioner is right
            }
            for (var each : sent) each.get();
        }
    }

    static void call(String url, String key) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url + "/v1/notifications"))
            .header("Authorization", "Bearer " + key).header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofByteArray(System.in.readAllBytes())).build();
        HttpResponse<String> answer = null;
        for (int round = 0; round < 5; round++) {
            answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 429 && answer.statusCode() != 503) break;
            Thread.sleep(1000 * answer.headers().firstValueAsLong("Retry-After").orElse(1));
        }
        System.out.println(answer.statusCode() + " " + answer.body());
        if (answer.statusCode() != 202) System.exit(1);
    }

    static void verify(String secret, String id, String timestamp, String signatures) throws Exception {
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] made = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(System.in.readAllBytes()))).getBytes();
        boolean recent = Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) <= 300;
        if (recent) for (String each : signatures.split(" ")) if (MessageDigest.isEqual(made, each.getBytes())) return;
        System.exit(1);
    }

    public static void main(String[] a) throws Exception {
        if (a[0].equals("produce")) produce(a[1], a[2]);
        else if (a[0].equals("call")) call(a[1], a[2]);
        else verify(a[1], a[2], a[3], a[4]);
    }
}
