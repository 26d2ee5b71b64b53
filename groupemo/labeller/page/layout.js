// The page's skeleton: constant text, filled by the other modules.

export const LAYOUT = `
<button type="button" class="skip" data-do="skip">To the labels of the face</button>
<header class="bar">
  <button type="button" class="photos-button" data-do="list" aria-expanded="false">Photos</button>
  <div class="where">
    <button type="button" data-do="previous-photo" aria-label="Previous photo" title="Previous photo  [">&#8249;</button>
    <h1><bdi class="photo-name"></bdi></h1><span class="photo-place"></span>
    <button type="button" data-do="next-photo" aria-label="Next photo" title="Next photo  ]">&#8250;</button>
  </div>
  <div class="progress"><progress aria-label="Faces labelled" max="1" value="0"></progress><span class="progress-text"></span></div>
  <span class="saved" data-state="saved">saved</span>
  <div class="tasks">
    <button type="button" data-do="undo" title="Undo  Ctrl+Z">Undo</button>
    <button type="button" data-do="redo" title="Redo  Ctrl+Y">Redo</button>
    <button type="button" data-do="guide" title="What the labels mean  g">Guide</button>
    <button type="button" class="more">More</button>
  </div>
  <div class="menu" popover>
    <button type="button" data-do="keys">Keys <kbd>?</kbd></button>
    <button type="button" data-do="agreement">Agreement</button>
    <button type="button" data-do="import">Take in labels from a file</button>
    <button type="button" data-do="export">Write the labels file now</button>
    <button type="button" data-do="theme"></button>
    <label class="switch"><input type="checkbox" name="letters"> Keys without Ctrl</label>
    <button type="button" data-do="name"></button>
  </div>
</header>
<div class="strips">
  <div class="alarm strip" role="alert" hidden><span></span><button type="button" data-do="calm">Close</button></div>
  <p class="behind strip" role="alert" hidden></p>
  <div class="offer strip" role="region" aria-label="Warm-up" hidden>
    <span>New here? Try yourself on ten sample faces first, and see what others said of them.</span>
    <span class="choices"><button type="button" class="primary" data-do="warm-up">Warm up</button><button type="button" data-do="decline">Not now</button></span>
  </div>
</div>
<main class="desk">
  <nav class="list" aria-label="Photos" hidden>
    <label class="filter">Show <select></select></label>
    <p class="shown quiet"></p>
    <ol></ol>
  </nav>
  <section class="stage" aria-label="Photo">
    <div class="view">
      <canvas aria-hidden="true"></canvas>
      <div class="boxes" role="group" aria-label="Faces in the photo"></div>
      <div class="grips" aria-hidden="true" hidden></div>
      <div class="sketch" aria-hidden="true" hidden></div>
      <p class="notice" hidden></p>
    </div>
    <div class="tools" role="toolbar" aria-label="Photo">
      <button type="button" data-do="draw" aria-pressed="false" title="Draw a box  n">Add a face</button>
      <button type="button" data-do="closer" aria-label="Closer" title="Closer  +">+</button>
      <button type="button" data-do="farther" aria-label="Farther" title="Farther  -">&minus;</button>
      <button type="button" data-do="fit" title="The whole photo  f">Fit</button>
    </div>
    <p class="said" role="status"></p>
  </section>
  <section class="panel" aria-label="The face and its label" tabindex="-1">
    <div class="face">
      <canvas width="384" height="384" role="img"></canvas>
      <div class="about">
        <h2 class="face-place"></h2>
        <p class="answer"></p>
        <div class="steps">
          <button type="button" data-do="previous-face" aria-label="Previous face" title="Previous face  k">&#8249;</button>
          <button type="button" data-do="next-face" aria-label="Next face" title="Next face  j">&#8250;</button>
          <button type="button" data-do="delete" title="Delete the box  Del">Delete</button>
        </div>
      </div>
    </div>
    <p class="repeat" hidden>Shown again: you have labelled these faces before. What you said then is hidden on purpose, to see how far you agree with yourself. Say what you see now.</p>
    <div class="answers-given" hidden></div>
    <div class="tiles" role="group" aria-label="Perceived expression"></div>
    <div class="signs" role="group" aria-label="No expression to give"></div>
    <div class="extras">
      <button type="button" class="second" data-do="second" aria-pressed="false" title="The next label is the second choice  Shift">Second choice</button>
      <div class="confidence" role="group" aria-label="How sure"></div>
    </div>
    <button type="button" class="complete" data-do="complete"></button>
    <label class="switch"><input type="checkbox" name="advance"> After a label, go to the next face</label>
    <details class="votes"><summary>Soft votes</summary>
      <p class="quiet">Share ten points or so among what the face may show, then give them.</p>
      <div class="sliders"></div>
      <button type="button" data-do="vote">Give these votes</button>
    </details>
    <details class="guess"><summary>The model's guess</summary>
      <label class="switch"><input type="checkbox" name="guess"> Show it. Seeing a guess biases what you say; that you saw it is recorded with your labels.</label>
      <div class="guesses"></div>
    </details>
  </section>
</main>
<dialog class="hello" aria-label="Who labels?"><form method="dialog">
  <h2>Who labels?</h2>
  <p>Say what expression each face <em>seems</em> to show to you. Nobody sees your labels while they give theirs.</p>
  <label>Your name or initials <input name="annotator" required maxlength="40" pattern="[^;]+" autocomplete="off" spellcheck="false"></label>
  <fieldset><legend>You are here to</legend>
    <label class="switch"><input type="radio" name="role" value="annotator" checked> label faces</label>
    <label class="switch"><input type="radio" name="role" value="adjudicator"> decide where others disagree (under a name that labels nothing; you see everybody's answers)</label>
  </fieldset>
  <p class="wrong" role="alert" hidden></p>
  <div class="choices"><button class="primary">Begin</button></div>
</form></dialog>
<dialog class="unfinished" aria-label="Faces without a label"><form method="dialog">
  <p></p>
  <div class="choices"><button value="look" class="primary">Show me the first</button><button value="complete">Complete all the same</button></div>
</form></dialog>
<dialog class="guide" aria-label="Guide"><form method="dialog"><div class="top"><h2>What the labels mean</h2><button>Close</button></div></form>
  <p>Say what the face shows, not what the person may feel: nobody can see that in a photo. Look at the face alone, not at the occasion. Judge by brows, eyes and mouth together; the first look is often the best one.</p>
  <div class="try"><button type="button" data-do="warm-up">Warm up on ten sample faces</button></div>
  <div class="meanings"></div>
  <p class="quiet">Numbers are action units of the Facial Action Coding System.</p>
</dialog>
<dialog class="warm-up" aria-label="Warm-up"><form method="dialog"><div class="top"><h2>Warm-up</h2><button>Close</button></div></form>
  <div class="trial" tabindex="-1">
    <canvas width="384" height="384" role="img"></canvas>
    <div class="saying">
      <h3 class="place"></h3>
      <p class="quiet">What does the face seem to show? Nothing you say here is a label.</p>
      <div class="tiles" role="group" aria-label="Perceived expression"></div>
      <div class="verdict" role="status"></div>
      <button type="button" class="next primary" hidden>Next <kbd aria-hidden="true">Enter</kbd></button>
    </div>
  </div>
  <div class="result" hidden>
    <p class="score" role="status"></p>
    <p>The labels are what a few people saw, and these were easy faces. Where you differed, the guide may help; where you still see it your way, say so when you label.</p>
    <form method="dialog" class="choices"><button class="primary">Label</button><button type="button" class="again">Ten more</button></form>
  </div>
</dialog>
<dialog class="import" aria-label="Take in labels"><form method="dialog"><div class="top"><h2>Take in labels</h2><button>Close</button></div></form>
  <form class="files">
    <p>What a file says of a photo takes the place of what you have said of it; what others said here stays. Ctrl+Z takes an import back.</p>
    <label>Files <input type="file" name="file" accept=".csv,.json,.xml" multiple required></label>
    <label>Format <select name="format"></select></label>
    <div class="choices"><button class="primary">Take in</button></div>
    <div class="told" role="status"></div>
  </form>
</dialog>
<dialog class="keys" aria-label="Keys"><form method="dialog"><div class="top"><h2>Keys</h2><button>Close</button></div></form><div class="tables"></div></dialog>
<dialog class="agreement" aria-label="Agreement"><form method="dialog"><div class="top"><h2>Agreement</h2><button>Close</button></div></form><div class="figures"></div></dialog>
`;
