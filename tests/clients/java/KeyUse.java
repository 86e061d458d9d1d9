import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.Provider;
import java.security.ProviderException;
import java.security.SecureRandom;
import java.security.Security;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import javax.crypto.BadPaddingException;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;

/** Keys made and used through the JCE, by many threads: java KeyUse.java CONFIGURATION, PIN in $PIN. */
final class KeyUse {
    private static final int THREADS = 16;
    private static final int ROUNDS = 25;
    private static final byte[] MESSAGE = "a message of some length, to be signed and sealed".getBytes();

    private KeyUse() {}

    public static void main(String[] arguments) throws Exception {
        var provider = Security.getProvider("SunPKCS11").configure(arguments[0]);
        Security.addProvider(provider);
        var store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, System.getenv("PIN").toCharArray());

        var pairs = KeyPairGenerator.getInstance("EC", provider);
        pairs.initialize(new ECGenParameterSpec("secp256r1"));
        var pair = pairs.generateKeyPair();
        require(pair.getPrivate().getEncoded() == null, "the private key stays inside");
        System.out.println("signatures " + signByManyThreads(pair, provider));

        var generator = KeyGenerator.getInstance("AES", provider);
        generator.init(256);
        var aes = generator.generateKey();
        chained(aes, provider);
        authenticated(aes, provider);

        var mac = Mac.getInstance("HmacSHA256", provider);
        mac.init(KeyGenerator.getInstance("HmacSHA256", provider).generateKey());
        require(mac.doFinal(MESSAGE).length == 32, "HMAC has 32 bytes");
        System.out.println("all checks passed");
    }

    private static int signByManyThreads(KeyPair pair, Provider provider) throws Exception {
        var pool = Executors.newFixedThreadPool(THREADS);
        var tasks = new ArrayList<Callable<Integer>>();
        for (int thread = 0; thread < THREADS; thread++) {
            tasks.add(() -> {
                for (int round = 0; round < ROUNDS; round++) {
                    var signer = Signature.getInstance("SHA256withECDSA", provider);
                    signer.initSign(pair.getPrivate());
                    signer.update(MESSAGE);
                    byte[] signature = signer.sign();
                    // The JDK's own provider judges, not the module.
                    var verifier = Signature.getInstance("SHA256withECDSA", "SunEC");
                    verifier.initVerify(pair.getPublic());
                    verifier.update(MESSAGE);
                    require(verifier.verify(signature), "the JDK verifies the signature");
                }
                return ROUNDS;
            });
        }
        int made = 0;
        for (var result : pool.invokeAll(tasks)) {
            made += result.get();
        }
        pool.shutdown();
        return made;
    }

    private static void chained(SecretKey key, Provider provider) throws Exception {
        var iv = new byte[16];
        new SecureRandom().nextBytes(iv);
        var cipher = Cipher.getInstance("AES/CBC/NoPadding", provider);
        byte[] blocks = Arrays.copyOf(MESSAGE, 64);
        cipher.init(Cipher.ENCRYPT_MODE, key, new IvParameterSpec(iv));
        byte[] sealed = cipher.doFinal(blocks);
        cipher.init(Cipher.DECRYPT_MODE, key, new IvParameterSpec(iv));
        require(Arrays.equals(cipher.doFinal(sealed), blocks), "CBC gives the message back");
    }

    private static void authenticated(SecretKey key, Provider provider) throws Exception {
        var iv = new byte[12];
        new SecureRandom().nextBytes(iv);
        var cipher = Cipher.getInstance("AES/GCM/NoPadding", provider);
        cipher.init(Cipher.ENCRYPT_MODE, key, new GCMParameterSpec(128, iv));
        cipher.updateAAD(iv);
        byte[] sealed = cipher.doFinal(MESSAGE);
        cipher.init(Cipher.DECRYPT_MODE, key, new GCMParameterSpec(128, iv));
        cipher.updateAAD(iv);
        require(Arrays.equals(cipher.doFinal(sealed), MESSAGE), "GCM gives the message back");
        sealed[3] ^= 1;
        cipher.init(Cipher.DECRYPT_MODE, key, new GCMParameterSpec(128, iv));
        cipher.updateAAD(iv);
        try {
            cipher.doFinal(sealed);
        } catch (BadPaddingException | ProviderException expected) {
            return;
        }
        require(false, "GCM refuses a damaged message");
    }

    private static void require(boolean holds, String fact) {
        if (!holds) {
            throw new AssertionError("not so: " + fact);
        }
    }
}
