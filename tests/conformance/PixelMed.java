import com.pixelmed.validate.DicomSRValidator;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * PixelMed's template check as a server: one JVM for all reports, started by `java PixelMed.java THREADS`.
 * In: names of files, one on each line. Out: for each what the validator says of it, then a line "END <file>".
 */
public class PixelMed {
    public static void main(String[] arguments) throws Exception {
        BufferedReader names = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Thread[] threads = new Thread[Integer.parseInt(arguments[0])];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> answer(names, answers));
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void answer(BufferedReader names, PrintStream answers) {
        try {
            DicomSRValidator validator = new DicomSRValidator();  // compiles its style sheets: seconds
            for (String file = next(names); file != null; file = next(names)) {
                String said = validated(validator, file);
                synchronized (answers) {
                    answers.print(said.endsWith("\n") ? said : said + "\n");
                    answers.println("END " + file);
                }
            }
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static String next(BufferedReader names) throws java.io.IOException {
        synchronized (names) {
            return names.readLine();
        }
    }

    private static String validated(DicomSRValidator validator, String file) {
        try {
            // describe, match case of code meanings, check ambiguous templates, check order, check template ids: as the command line
            // with -checkcontentitemorder -checktemplateid sets them, which sets the order twice and never the ids
            return validator.validate(file, false, true, false, true, false);
        } catch (Exception error) {
            return "Error: Exception " + error;
        }
    }
}
