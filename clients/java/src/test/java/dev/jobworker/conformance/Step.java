package dev.jobworker.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One step of a scenario, which may name what came of the earlier ones. */
final class Step {
  private static final Pattern JOB = Pattern.compile("\\$(\\d+)(?::(\\d+))?");
  private static final Pattern PAGE = Pattern.compile("\\$page(\\d+)");

  private final JsonObject fields;
  private final JsonArray earlier;

  Step(JsonObject fields, JsonArray earlier) {
    this.fields = fields;
    this.earlier = earlier;
  }

  boolean has(String name) {
    return fields.has(name);
  }

  /** Returns a number; zero if there is none. */
  long number(String name) {
    return has(name) ? fields.get(name).getAsLong() : 0;
  }

  boolean flag(String name) {
    return has(name) && fields.get(name).getAsBoolean();
  }

  List<String> texts(String name) {
    List<String> texts = new ArrayList<>();
    fields.getAsJsonArray(name).forEach(text -> texts.add(text.getAsString()));
    return texts;
  }

  /**
   * Returns a text; the empty one if there is none. "$3", "$3:8" and "$page3" stand for what came
   * of an earlier step.
   */
  String text(String name) {
    if (!has(name)) {
      return "";
    }
    JsonElement value = fields.get(name);
    if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
      throw new IllegalArgumentException(name + " is no text: " + value);
    }
    String text = value.getAsString();
    Matcher page = PAGE.matcher(text);
    if (page.matches()) {
      return member(earlierOk(page.group(1)), "next_page_token", text).getAsString();
    }
    Matcher job = JOB.matcher(text);
    if (!job.matches()) {
      return text;
    }
    JsonElement facts = member(earlierOk(job.group(1)), "job", text);
    String id = member(facts, "id", text).getAsString();
    return job.group(2) == null ? id : id.substring(0, Integer.parseInt(job.group(2)));
  }

  /** Returns what a step came to, or null if it failed or is none that was done. */
  private JsonElement earlierOk(String number) {
    int index = Integer.parseInt(number);
    return index < earlier.size() ? earlier.get(index).getAsJsonObject().get("ok") : null;
  }

  private static JsonElement member(JsonElement whole, String name, String reference) {
    if (whole == null || !whole.isJsonObject() || !whole.getAsJsonObject().has(name)) {
      throw new IllegalArgumentException(reference + " names nothing that there is");
    }
    return whole.getAsJsonObject().get(name);
  }
}
