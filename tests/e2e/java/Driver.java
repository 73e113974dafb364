import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.AbstractListener;
import com.alibaba.nacos.api.config.listener.Listener;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.EventListener;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.alibaba.nacos.api.naming.pojo.ListView;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/*
 * A nacos-client behind standard input and output; the commands are described in tests/e2e/README.md.
 * One source for every client version: what an old version lacks is looked up by reflection.
 */
public class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = System.out;
    private static final long TIMEOUT_MS = 3000; // the client's own default for everything else

    private final Map<String, NamingService> clients = new HashMap<>();
    private final Map<String, ConfigService> configs = new HashMap<>();
    private final Map<String, Subscription> subscriptions = new HashMap<>();

    private final Map<String, Listening> listenings = new HashMap<>();

    private record Subscription(NamingService client, JsonNode command, EventListener listener) {}

    private record Listening(ConfigService client, JsonNode command, Listener listener) {}

    public static void main(String[] args) throws Exception {
        System.setOut(System.err); // a library that prints must not break the stream of answers
        List<String> can = new ArrayList<>(Arrays.asList("one", "query-direct", "listen-tells-at-once", "large"));
        if (has("com.alibaba.nacos.common.labels.LabelsCollectorManager")) {
            can.add("labels");
        }
        if (batchMethod("batchRegisterInstance") != null) {
            can.add("batch");
        }
        if (batchMethod("batchDeregisterInstance") != null) {
            can.add("unbatch");
        }
        write("hello", "java", "can", can);
        new Driver().serve();
        System.exit(0); // the client leaves threads that are no daemons
    }

    private void serve() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = JSON.readTree(line);
            int id = command.get("id").asInt();
            try {
                write("id", id, "result", run(command));
            } catch (InvocationTargetException e) {
                write("id", id, "error", String.valueOf(e.getCause()));
            } catch (Exception e) {
                write("id", id, "error", String.valueOf(e));
            }
        }
    }

    private Object run(JsonNode c) throws Exception {
        String op = c.get("op").asText();
        if (op.equals("open")) {
            clients.put(c.get("client").asText(), NacosFactory.createNamingService(properties(c)));
            return true;
        }
        if (op.equals("unsubscribe")) {
            return unsubscribe(subscriptions.remove(c.get("sub").asText()));
        }
        if (op.equals("open-config")) {
            configs.put(c.get("client").asText(), NacosFactory.createConfigService(properties(c)));
            return true;
        }
        if (op.equals("unlisten")) {
            Listening l = listenings.remove(c.get("sub").asText());
            l.client.removeListener(text(l.command, "dataId"), text(l.command, "group"), l.listener);
            return true;
        }
        ConfigService config = configs.get(c.get("client").asText());
        return config != null ? runConfig(config, op, c) : runNaming(clients.get(c.get("client").asText()), op, c);
    }

    private Object runConfig(ConfigService s, String op, JsonNode c) throws Exception {
        switch (op) {
            case "close":
                configs.remove(c.get("client").asText()).shutDown();
                return true;
            case "status":
                return "UP".equals(s.getServerStatus());
            case "publish":
                return publish(s, c);
            case "get":
                return s.getConfig(text(c, "dataId"), text(c, "group"), TIMEOUT_MS);
            case "remove":
                return done(op, s.removeConfig(text(c, "dataId"), text(c, "group")));
            case "listen":
                return listen(s, c);
            default:
                throw new IllegalArgumentException("unknown op " + op);
        }
    }

    private static Object publish(ConfigService s, JsonNode c) throws Exception {
        String id = text(c, "dataId"), group = text(c, "group"), content = text(c, "content");
        String type = c.has("type") ? text(c, "type") : null;
        if (c.has("cas")) {
            return done("publish", type == null ? s.publishConfigCas(id, group, content, text(c, "cas"))
                    : s.publishConfigCas(id, group, content, text(c, "cas"), type));
        }
        return done("publish", type == null ? s.publishConfig(id, group, content) : s.publishConfig(id, group, content, type));
    }

    private Object listen(ConfigService s, JsonNode c) throws Exception {
        String name = text(c, "sub");
        Listener l = new AbstractListener() {
            @Override
            public void receiveConfigInfo(String content) {
                write("event", name, "content", content);
            }
        };
        listenings.put(name, new Listening(s, c, l));
        s.addListener(text(c, "dataId"), text(c, "group"), l);
        return true;
    }

    /* The client says false, without a reason, when the server refuses. */
    private static boolean done(String op, boolean result) {
        if (!result) {
            throw new IllegalStateException(op + ": false");
        }
        return true;
    }

    private static boolean has(String className) {
        try {
            Class.forName(className);
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    private Object runNaming(NamingService n, String op, JsonNode c) throws Exception {
        switch (op) {
            case "close":
                clients.remove(c.get("client").asText()).shutDown();
                return true;
            case "status":
                return "UP".equals(n.getServerStatus());
            case "register":
                n.registerInstance(text(c, "service"), text(c, "group"), instance(c.get("instance")));
                return true;
            case "deregister":
                n.deregisterInstance(text(c, "service"), text(c, "group"), instance(c.get("instance")));
                return true;
            case "batch":
                return batch(n, "batchRegisterInstance", c);
            case "unbatch":
                return batch(n, "batchDeregisterInstance", c);
            case "query":
                return query(n, c);
            case "one":
                return json(n.selectOneHealthyInstance(text(c, "service"), text(c, "group"), clusters(c),
                        c.get("subscribe").asBoolean()));
            case "subscribe":
                return subscribe(n, c);
            case "services":
                ListView<String> v = n.getServicesOfServer(c.get("page").asInt(), c.get("size").asInt(), text(c, "group"));
                return Map.of("count", v.getCount(), "names", v.getData());
            default:
                throw new IllegalArgumentException("unknown op " + op);
        }
    }

    private static Properties properties(JsonNode c) {
        Properties p = new Properties();
        p.put("serverAddr", text(c, "server"));
        p.put("namespace", text(c, "namespace"));
        if (c.has("tag")) {
            p.put("nacos.app.conn.labels", "Vipserver-Tag=" + text(c, "tag"));
        }
        return p;
    }

    private static Object query(NamingService n, JsonNode c) throws Exception {
        boolean subscribe = c.get("subscribe").asBoolean();
        List<Instance> found = c.has("healthy")
                ? n.selectInstances(text(c, "service"), text(c, "group"), clusters(c), c.get("healthy").asBoolean(), subscribe)
                : n.getAllInstances(text(c, "service"), text(c, "group"), clusters(c), subscribe);
        return json(found);
    }

    private Object subscribe(NamingService n, JsonNode c) throws Exception {
        String name = text(c, "sub");
        EventListener l = e -> write("event", name, "instances", json(((NamingEvent) e).getInstances()));
        subscriptions.put(name, new Subscription(n, c, l));
        n.subscribe(text(c, "service"), text(c, "group"), clusters(c), l);
        return true;
    }

    private static Object unsubscribe(Subscription s) throws Exception {
        s.client.unsubscribe(text(s.command, "service"), text(s.command, "group"), clusters(s.command), s.listener);
        return true;
    }

    private static Method batchMethod(String name) {
        try {
            return NamingService.class.getMethod(name, String.class, String.class, List.class);
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    private static Object batch(NamingService n, String method, JsonNode c) throws Exception {
        List<Instance> all = new ArrayList<>();
        for (JsonNode i : c.get("instances")) {
            all.add(instance(i));
        }
        batchMethod(method).invoke(n, text(c, "service"), text(c, "group"), all);
        return true;
    }

    private static String text(JsonNode c, String key) {
        return c.get(key).asText();
    }

    private static List<String> clusters(JsonNode c) {
        List<String> l = new ArrayList<>();
        c.get("clusters").forEach(x -> l.add(x.asText()));
        return l;
    }

    private static Instance instance(JsonNode j) {
        Instance i = new Instance();
        i.setIp(text(j, "ip"));
        i.setPort(j.get("port").asInt());
        i.setWeight(j.get("weight").asDouble());
        i.setHealthy(j.get("healthy").asBoolean());
        i.setEnabled(j.get("enabled").asBoolean());
        i.setEphemeral(j.get("ephemeral").asBoolean());
        if (!text(j, "cluster").isEmpty()) {
            i.setClusterName(text(j, "cluster"));
        }
        j.get("metadata").fields().forEachRemaining(e -> i.addMetadata(e.getKey(), e.getValue().asText()));
        return i;
    }

    private static List<Object> json(List<Instance> l) {
        List<Object> out = new ArrayList<>();
        l.forEach(i -> out.add(json(i)));
        return out;
    }

    private static Map<String, Object> json(Instance i) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("ip", i.getIp());
        m.put("port", i.getPort());
        m.put("weight", i.getWeight());
        m.put("healthy", i.isHealthy());
        m.put("enabled", i.isEnabled());
        m.put("ephemeral", i.isEphemeral());
        m.put("cluster", i.getClusterName());
        m.put("service", i.getServiceName());
        m.put("metadata", i.getMetadata());
        return m;
    }

    /* Listeners run on threads of the client, so answers and events must not mix within a line. */
    private static synchronized void write(Object... pairs) {
        Map<String, Object> m = new LinkedHashMap<>();
        for (int k = 0; k < pairs.length; k += 2) {
            m.put((String) pairs[k], pairs[k + 1]);
        }
        try {
            OUT.println(JSON.writeValueAsString(m));
            OUT.flush();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
