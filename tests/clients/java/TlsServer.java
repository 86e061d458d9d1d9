import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.KeyStore;
import java.security.Security;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** An HTTPS server whose private keys are in the HSM: java TlsServer.java CONFIGURATION PORT, PIN in $PIN. */
final class TlsServer {
    private TlsServer() {}

    public static void main(String[] arguments) throws Exception {
        var provider = Security.getProvider("SunPKCS11").configure(arguments[0]);
        Security.addProvider(provider);
        char[] pin = System.getenv("PIN").toCharArray();
        var keys = KeyStore.getInstance("PKCS11", provider);
        keys.load(null, pin);
        var managers = KeyManagerFactory.getInstance("PKIX");
        managers.init(keys, pin);
        var context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);

        var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(arguments[1]));
        var server = HttpsServer.create(address, 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context));
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", exchange -> {
            byte[] body = "hello from Java\n".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            try (var out = exchange.getResponseBody()) {
                out.write(body);
            }
        });
        server.start();
    }
}
